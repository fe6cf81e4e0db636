"""The page "Load history": what was loaded, read from what Airflow has, never from the destination.

In: asset events, XComs and states in Airflow's metadata database, and who is asking. Out: HTML, and the same as JSON.
"""
