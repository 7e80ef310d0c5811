"""How good is it, told honestly: metrics, baselines, protocols, figures and reports."""
