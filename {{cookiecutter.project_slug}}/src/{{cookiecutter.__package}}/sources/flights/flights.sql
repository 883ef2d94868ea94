-- One month of flights, each with its aircraft and the weather known before it leaves.
-- Left out on purpose: departure time and delay, arrival time, air time; they are unknown before departure.
WITH departures AS (
    SELECT *, hour * 60 + minute AS departure_minute
    FROM flights
    WHERE month = $month
),
observations AS (
    -- An observation counts from an hour after it was made: never one from the hour of departure itself.
    SELECT *, time_hour + INTERVAL 1 HOUR AS known_from
    FROM weather
)
SELECT
    strftime(departures.time_hour, '%Y%m%dT%H') || '-' || departures.carrier || '-' || departures.flight AS flight_id,
    departures.time_hour::TIMESTAMP + INTERVAL 1 MINUTE * departures.minute AS scheduled_departure,
    departures.carrier,
    departures.origin,
    departures.dest,
    isodow(make_date(departures.year, departures.month, departures.day)) AS weekday,
    departures.departure_minute,
    departures.sched_arr_time // 100 * 60 + departures.sched_arr_time % 100 AS arrival_minute,
    departures.distance,
    departures.year - planes.year AS plane_age,
    planes.seats,
    planes.engine,
    observations.temp AS temperature,
    observations.dewp AS dew_point,
    observations.humid AS humidity,
    observations.wind_dir AS wind_direction,
    observations.wind_speed,
    observations.precip AS precipitation,
    observations.pressure,
    observations.visib AS visibility,
    (departures.arr_delay >= 15)::TINYINT AS late -- unknown (null) where the flight never arrived
FROM departures
LEFT JOIN planes USING (tailnum)
ASOF LEFT JOIN observations
    ON departures.origin = observations.origin AND departures.time_hour >= observations.known_from
ORDER BY scheduled_departure, flight_id
