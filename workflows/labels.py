"""Labels of everything that this project brings to the cluster on which Argo runs."""

LABELS = {"app.kubernetes.io/part-of": "cnibench"}
