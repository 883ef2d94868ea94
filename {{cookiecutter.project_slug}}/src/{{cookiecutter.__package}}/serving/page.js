// What serves, a form made from its columns, an answer with its explanation, the last drift status.
// Whatever comes from the service is shown as text, never read as HTML: a column may have any name.
"use strict";

const EXPLAINED = "predict?explain=true";
const KEY = "api-key"; // in sessionStorage, which ends with the tab
const MENU = 20; // categories that fit a menu; of more, some are offered while typing
const SHOWN = 8; // columns of an explanation, or classes, that are shown at once
const BUTTONS = 5; // classes that get a button each to tell what was true
const METRICS = new Map([["log_loss", "log loss"], ["brier", "Brier score"], ["roc_auc", "ROC AUC"],
  ["macro_f1", "macro F1"], ["rmse", "RMSE"], ["mae", "MAE"], ["r2", "R²"]]);
const UNITS = new Map([["log_odds", "log-odds"]]);
const HEADLINES = new Map([["binary", ofTwo], ["multiclass", ofSeveral], ["regression", ofNumber]]);
const STATES = new Map([
  ["ok", ["good", "✓ No drift"]],
  ["drift", ["bad", "! Traffic has drifted"]],
  ["degraded", ["bad", "! The model has become worse"]],
  ["insufficient_data", ["", "… Too little traffic to tell"]],
  ["schema_error", ["bad", "! Traffic does not fit the schema"]],
]);

let model;
let fields = [];
let answered; // id of the answer that is shown
let busy = false;

const at = (id) => document.getElementById(id);
const REPORTS = [at("report"), at("quality-report"), at("trend")];
/** How many decimals show so many digits of a number of this size. */
const decimals = (size, digits) => {
  return Math.min(Math.max(digits - 1 - Math.floor(Math.log10(Math.abs(size) || 1)), 0), 20);
};
const rounded = (number, places) => {
  const digits = { minimumFractionDigits: places, maximumFractionDigits: places };
  return number.toLocaleString("en", digits).replace("-", "−");
};
const signed = (number, places) => (number < 0 ? "−" : "+") + rounded(Math.abs(number), places);
const plain = (value) => (value === null ? "missing" : value === "" ? "(empty)" : value ?? "(made of others)");
const short = (value) => (typeof value === "number" ? Number(value.toPrecision(9)) : plain(value));
const named = (label) => { // of two classes 0 and 1 the target is told as a fact
  if (model.task !== "binary") return String(label);
  const isFact = model.classes[0] === 0 && model.classes[1] === 1;
  return `${model.target}: ${isFact ? ["no", "yes"][label] : label}`;
};
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function percent(share) {
  if (share > 0 && share < 0.001) return "<0.1\u00a0%";
  if (share < 1 && share > 0.999) return ">99.9\u00a0%";
  return `${(100 * share).toLocaleString("en", { maximumSignificantDigits: 3 })}\u00a0%`;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function moment(iso) {
  const shown = new Date(iso).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  return element("time", { dateTime: iso, title: iso }, shown);
}

class Refused extends Error {
  constructor(message, field = null) {
    super(message);
    this.field = field;
  }
}

async function request(path, body) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let reply;
  try {
    reply = await fetch(path, { headers, ...post });
  } catch {
    throw new Refused("The service does not answer.");
  }
  if (reply.status !== 401) return reply;
  await askForKey(key ? "This key is not accepted." : "");
  return request(path, body);
}

async function json(path, body) {
  const reply = await request(path, body);
  const found = await reply.json().catch(() => null);
  if (reply.ok && found) return found;
  throw new Refused(found?.error ?? `The service answers with status ${reply.status}.`, found?.field);
}

function askForKey(refusal) {
  const dialog = at("key-dialog");
  sessionStorage.removeItem(KEY);
  at("key").value = dialog.returnValue = "";
  dialog.showModal();
  at("key-refused").textContent = refusal;
  return new Promise((resolve, reject) => {
    const close = () => {
      if (dialog.returnValue !== "use") return reject(new Refused("The service asks for an API key."));
      sessionStorage.setItem(KEY, at("key").value);
      at("key").value = "";
      resolve();
    };
    dialog.addEventListener("close", close, { once: true });
  });
}

/** Run a task; what the service refuses goes to `show`, a fault of this page to the console. */
async function attempt(task, show) {
  try {
    await task();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    show(error);
  }
}

function start() {
  at("notice").hidden = true;
  return attempt(
    async () => {
      await look();
      makeForm();
      at("main").hidden = false;
    },
    (error) => {
      at("notice-text").textContent = error.message;
      at("notice").hidden = false;
    },
  );
}

async function look() {
  model = await json("model");
  showModel();
  await attempt(showDrift, (error) => at("drift-reason").replaceChildren(error.message));
}

function showModel() {
  const { held_out: held, retrained, challenger } = model;
  const partitions = (names) => {
    return names.length < 3 ? names.join(", ") : `${names[0]} … ${names.at(-1)} (${names.length})`;
  };
  const facts = [
    ["Version", model.version],
    ["In service since", moment(model.since)],
    ["Made", moment(model.created)],
    ["Trained on", partitions(model.trained_on)],
    ["Last retraining run", retrained ? element("span", {}, moment(retrained.at), `, ${retrained.outcome.replaceAll("_", " ")}`) : "none yet"],
    ...(challenger ? [["Challenger", waiting(challenger)]] : []),
    ["Judged on", held ? `${percent(held.share)} of their ${held.group ?? "row"}s` : partitions(model.judged_on)],
  ];
  document.title = `${model.name} · predictions`;
  at("name").textContent = model.name;
  at("facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
  at("trouble").textContent = model.trouble;
  at("trouble").hidden = !model.trouble;
  at("tell").replaceChildren(...truthControls());
  at("quality-report").hidden = true;
  showQuality({}, 0);
}

function waiting({ version, labelled, needed }) {
  const rows = [labelled, needed].map((count) => count.toLocaleString("en")).join(" of ");
  return `version ${version} answers unseen: ${rows} labelled rows`;
}

function showQuality(seen, rows) {
  const live = new Map(Object.entries(seen));
  const heads = ["Metric", "At release", ...(live.size ? ["In service"] : [])];
  const lines = Object.entries(model.metrics).map(([name, value]) => {
    const values = live.size ? [value, live.get(name)] : [value];
    const places = decimals(value, 4);
    const cells = values.map((x) => element("td", {}, x === undefined ? "–" : rounded(x, places)));
    const head = element("th", { scope: "row" }, METRICS.get(name) ?? name.replaceAll("_", " "));
    return element("tr", {}, head, ...cells);
  });
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  at("quality").replaceChildren(element("thead", {}, head), element("tbody", {}, ...lines));
  at("labelled").textContent = live.size
    ? `In service: ${rows.toLocaleString("en")} answers whose labels have arrived`
    : "No labels have arrived for its answers yet";
}

async function showDrift() {
  const seen = await json("monitoring");
  const [tone, words] = STATES.get(seen.status) ?? ["", seen.status];
  at("drift").className = `state ${tone}`;
  at("drift").textContent = words;
  at("drift-reason").textContent = seen.reason;
  const rows = `: ${seen.rows.toLocaleString("en")} answers of version ${seen.version}`;
  at("drift-seen").replaceChildren("Looked at ", moment(seen.at), rows);
  at("report").hidden = !seen.report;
  at("trend").hidden = !seen.trend;
  if (seen.version === model.version) {
    showQuality(seen.performance, seen.labelled_rows);
    at("quality-report").hidden = !seen.quality_report;
  }
  if (!sessionStorage.getItem(KEY)) return;
  for (const link of REPORTS) link.textContent = link.textContent.replace("Open", "Save");
}

/** A link cannot show a key. The report is saved: in a tab of this page's it could not run. */
async function saveReport(link) {
  const path = link.getAttribute("href");
  const reply = await request(path);
  if (!reply.ok) throw new Refused(`The service answers with status ${reply.status}.`);
  const href = URL.createObjectURL(await reply.blob());
  element("a", { href, download: `${model.name}-${path.split("/").at(-1)}.html` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

function makeForm() {
  const example = new Map(Object.entries(model.example)); // safe with a column named `constructor`
  fields = model.columns.map((column, number) => {
    return makeField(column, `field-${number}`, example.get(column.name) ?? null);
  });
  at("fields").replaceChildren(...fields.map((field) => field.box));
}

function makeField(column, id, given) {
  const known = column.vocabulary;
  const isMenu = known?.length > 0 && known.length <= MENU && [null, ...known].includes(given);
  const text = { defaultValue: given ?? "", spellcheck: false };
  const input = isMenu ? menu(column, given) : element("input", text);
  const hints = [column.description];
  const list = element("datalist", { id: `${id}-list` });
  if (!isMenu && known?.length) { // of a column that only functions read, any text is fine
    hints.push(`one of ${known.length.toLocaleString("en")} known values, or another`);
    list.append(...known.map((value) => element("option", { value })));
    input.setAttribute("list", list.id);
  }
  if (known === null) input.inputMode = "decimal";
  if (!isMenu && !column.required) input.placeholder = "missing";
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  input.setAttribute("aria-required", column.required);
  const label = element("label", { htmlFor: id }, column.name);
  if (!column.required) label.append(" ", element("span", { className: "quiet" }, "optional"));
  const hint = element("p", { id: `${id}-hint`, className: "quiet" }, hints.filter(Boolean).join("; "));
  const error = element("p", { id: `${id}-error`, className: "bad" });
  const box = element("div", { className: "field" }, label, input, list, hint, error);
  return { column, input, error, isMenu, box };
}

function menu(column, given) {
  const options = column.vocabulary.map((text, value) => {
    return element("option", { value, defaultSelected: text === given }, plain(text));
  });
  if (!column.required) options.unshift(element("option", { value: "" }, plain(null)));
  return element("select", {}, ...options);
}

/** What a field holds, null when it is missing; raises `Refused`. */
function valueOf({ column, input, isMenu }) {
  const { name, required, vocabulary } = column;
  const text = vocabulary ? input.value : input.value.trim();
  if (text === "" && !required) return null;
  if (isMenu) return vocabulary[Number(text)];
  if (text === "" && !vocabulary?.includes("")) throw new Refused("A value is needed here.", name);
  if (vocabulary) return text;
  if (!Number.isFinite(Number(text))) throw new Refused("This is not a number.", name);
  return Number(text);
}

function clearErrors() {
  at("form-error").textContent = "";
  for (const { input, error } of fields) {
    input.removeAttribute("aria-invalid");
    error.textContent = "";
  }
}

function showError(error) {
  const field = fields.find(({ column }) => column.name === error.field);
  (field?.error ?? at("form-error")).textContent = error.message;
  field?.input.setAttribute("aria-invalid", "true");
  field?.input.focus();
}

async function predict() {
  const row = Object.create(null); // a column may be named `__proto__`
  for (const field of fields) row[field.column.name] = valueOf(field);
  const { version, predictions } = await json(EXPLAINED, row);
  if (version !== model.version) { // promoted or rolled back meanwhile
    await look();
  }
  showAnswer(predictions[0], version);
  showExplanation(predictions[0].explanation, row, predictions[0].label);
  showCurl(row);
  at("details").hidden = false;
  if (at("answer").getBoundingClientRect().top > innerHeight / 2) at("answer").scrollIntoView();
}

function showAnswer(told, version) {
  answered = told.id;
  const lines = HEADLINES.get(model.task)(told);
  lines.push(element("p", { className: "quiet" }, `Answered by version ${version}`));
  if (told.unseen.length) {
    const words = `Never seen in training, so counted as missing: ${told.unseen.join(", ")}`;
    lines.push(element("p", { className: "bad" }, words));
  }
  at("headline").replaceChildren(...lines);
  at("tell").reset();
  markTold();
}

function meter(share, ...marks) {
  const fill = element("div", { className: "fill" });
  fill.style.width = `${100 * share}%`;
  return element("div", { className: "meter" }, fill, ...marks);
}

function ofTwo({ probability, label }) {
  const last = named(model.classes[1]).replace(/: yes$/, "");
  const mark = element("div", { className: "mark" });
  mark.style.left = `${100 * model.threshold}%`;
  const side = probability >= model.threshold ? "not below" : "below";
  return [
    element("p", {}, element("data", { id: "outcome", value: probability }, percent(probability)),
      " probability of ", element("b", {}, last)),
    meter(probability, mark),
    element("p", {}, element("b", {}, named(label)),
      `, for it is ${side} the threshold of ${percent(model.threshold)}`),
  ];
}

function ofSeveral({ label, probabilities }) {
  const likeliest = Object.entries(probabilities).sort((a, b) => b[1] - a[1]);
  const lines = likeliest.map(([name, share]) => {
    const head = element("th", { scope: "row" }, name);
    const bar = element("td", {}, meter(share));
    return element("tr", {}, head, bar, element("td", {}, percent(share)));
  });
  const others = likeliest.slice(SHOWN).reduce((all, [, share]) => all + share, 0);
  return [
    element("p", {}, element("data", { id: "outcome", className: "long", value: label }, label),
      " is the likeliest ", element("b", {}, model.target)),
    ...folded(lines, "classes", percent(others)),
  ];
}

function ofNumber({ value, interval }) {
  const places = decimals(model.half_width || value, model.half_width ? 2 : 5);
  const [low, high] = (interval ?? []).map((end) => element("b", {}, rounded(end, places)));
  const range = interval
    ? ["Most true values lie between ", low, " and ", high,
      ", if this row is like those that judged the model."]
    : ["Too few rows judged the model to tell how far off it may be."];
  const shown = rounded(value, places);
  const outcome = { id: "outcome", className: shown.length > 9 ? "long" : "", value };
  return [
    element("p", {}, element("data", outcome, shown), " ", element("b", {}, model.target)),
    element("p", {}, ...range),
  ];
}

/** The first lines as a table, and the others in one that opens. */
function folded(lines, noun, together, ...before) {
  const rest = lines.slice(SHOWN);
  const found = [table(...before, ...lines.slice(0, SHOWN))];
  if (rest.length) {
    const summary = element("summary", {}, `Other ${noun} (${rest.length}), together ${together}`);
    found.push(element("details", {}, summary, table(...rest)));
  }
  return found;
}

function table(...lines) {
  return element("table", { className: "parts" }, element("tbody", {}, ...lines));
}

/** Buttons for few classes, a menu for many, a field for a number. */
function truthControls() {
  const { classes, target, task } = model;
  if (classes && classes.length <= BUTTONS) {
    const buttons = classes.map((one, place) => {
      return element("button", { id: `truth-${place}`, value: place }, named(one));
    });
    return task === "binary" ? buttons.reverse() : buttons;
  }
  const first = element("option", { value: "" }, "choose");
  const options = (classes ?? []).map((one, value) => element("option", { value }, named(one)));
  const input = classes
    ? element("select", { id: "true-value" }, first, ...options)
    : element("input", { id: "true-value", inputMode: "decimal" });
  input.setAttribute("aria-describedby", "truth");
  return [element("label", { htmlFor: input.id }, target), input, element("button", {}, "Tell")];
}

/** The label that the form holds; raises `Refused`. */
function truth(button) {
  const text = (button.value || at("true-value")?.value || "").trim();
  if (text === "") throw new Refused("A value is needed here.");
  if (model.classes) return model.classes[Number(text)];
  if (!Number.isFinite(Number(text))) throw new Refused("This is not a number.");
  return Number(text);
}

function markTold(words = "", pressed = null, wrong = false) {
  at("truth").textContent = words;
  at("truth").className = wrong ? "bad" : "";
  at("true-value")?.setAttribute("aria-invalid", wrong);
  for (const button of at("tell").querySelectorAll("button[value]")) {
    button.setAttribute("aria-pressed", button === pressed);
  }
}

function showExplanation({ base, unit, method, contributions }, row, label) {
  const isNumber = model.task === "regression";
  const about = model.task === "multiclass" ? ` of ${label}` : "";
  const scale = UNITS.get(unit) ?? unit;
  const whole = isNumber ? `predicted ${model.target}` : scale + about;
  const isChance = unit === "log_odds" && model.task === "binary"; // of more, one says too little
  const chance = (x) => (isChance ? ` (${percent(sigmoid(x))})` : "");
  // Sorted here: the keys of a JavaScript object lose their order if they look like numbers.
  const parts = Object.entries(contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const sum = parts.reduce((total, [, part]) => total + part, base);
  const [first, most] = parts[0];
  const largest = Math.abs(most) || 1;
  const places = isNumber ? decimals(largest, 3) : 3;
  const line = ([name, part]) => explained(name, row[name], part, largest, places);
  const total = (words, x) => {
    const head = element("th", { scope: "row", colSpan: 2 }, words, chance(x));
    return element("tr", { className: "total" }, head, element("td", {}, rounded(x, places)));
  };
  const heads = ["Column and value", "takes · adds", scale];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const start = total("A row of which nothing is known", base);
  const size = rounded(Math.abs(most), places);
  const longest = Math.max(...[base, sum, most].map((x) => rounded(x, places).length));
  at("explanation").style.setProperty("--figures", longest);
  const adds = most < 0 ? `takes ${size} from` : `adds ${size} to`;
  const words = `Most of all, ${first} ${adds} the ${whole}.`;
  const together = signed(parts.slice(SHOWN).reduce((all, [, part]) => all + part, 0), places);
  const note = about && unit === "log_odds" ? "; the log-odds leave out what all classes share" : "";
  const source = element("p", { className: "quiet" }, `Shapley values, method ${method}${note}`);
  at("explanation").replaceChildren(
    element("p", {}, words, " Together, all columns lead from the first line to the last."),
    ...folded(parts.map(line), "columns", together, head, start),
    table(total("This row", sum)),
    source,
  );
}

function explained(name, value, part, largest, places) {
  const bar = element("div", { className: part < 0 ? "bar minus" : "bar plus" });
  bar.style.width = `${(50 * Math.abs(part)) / largest}%`;
  const shown = element("span", { className: "quiet" }, short(value));
  const head = element("th", { scope: "row" }, name, " ", shown);
  return element("tr", {}, head, element("td", { className: "track" }, bar), element("td", {}, signed(part, places)));
}

function showCurl(row) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = sessionStorage.getItem(KEY) ? ' -H "Authorization: Bearer $SERVE_API_KEY"' : "";
  const address = quoted(new URL(EXPLAINED, location).href);
  at("curl").textContent = `curl -sS ${address}${key} -d ${quoted(JSON.stringify(row))}`;
  at("copied").textContent = "";
}

async function copyCurl() {
  getSelection().selectAllChildren(at("curl"));
  try {
    await navigator.clipboard.writeText(at("curl").textContent); // with HTTPS or on localhost only
    at("copied").textContent = "Copied.";
  } catch {
    at("copied").textContent = "Selected: copy it with Ctrl+C.";
  }
}

async function tell(button) {
  await json("feedback", { id: answered, label: truth(button) });
  markTold("Noted, thank you. The last one counts.", button);
}

at("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (busy) return;
  busy = true;
  clearErrors();
  await attempt(predict, showError).finally(() => (busy = false));
});
at("form").addEventListener("reset", clearErrors);
at("again").addEventListener("click", start);
at("copy").addEventListener("click", copyCurl);
at("tell").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => tell(event.submitter), (error) => markTold(error.message, null, true));
});
for (const link of REPORTS) {
  link.addEventListener("click", (event) => {
    if (!sessionStorage.getItem(KEY)) return;
    event.preventDefault();
    attempt(() => saveReport(link), (error) => (link.textContent = error.message));
  });
}
start();
