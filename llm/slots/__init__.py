"""The slots: which model is in which of them (scheduler.py, pure), and the workers behind them (pool.py)."""
