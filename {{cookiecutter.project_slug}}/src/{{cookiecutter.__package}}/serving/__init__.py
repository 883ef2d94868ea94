"""The prediction service. Imports neither MLflow, pandas nor scikit-learn, and unpickles nothing."""
