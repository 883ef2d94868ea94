"""The prediction service. Imports no MLflow, pandas or scikit-learn, and unpickles nothing."""
