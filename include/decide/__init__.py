"""What this run loads, and whether a failure is tried again.

In: Airflow's context, the options, the windows of completed loads; an exception. Out: a window, a mode, a skip or a retry. The
same question has the same answer: no request, no table and, but for the run itself, no clock.
"""
