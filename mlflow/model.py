"""The models-from-code file: what MLflow stores and runs in place of a pickle. All it does is name the class."""

import mlflow.models

from recsys.registry.pyfunc import RecommenderModel

mlflow.models.set_model(RecommenderModel())
