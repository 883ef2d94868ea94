"""`make sweep`: a study of the model's settings, whose result reaches the model through conf/."""
