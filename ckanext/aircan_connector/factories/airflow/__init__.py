"""The factory `airflow`: a run is a DagRun of Apache Airflow 3, 2 or 1.10, with the job's id.

factory     what AirCan asks of a factory, in Airflow's terms
api         what is asked of Airflow, whatever its version; stable (API v2 and v1) and experimental (1.10) say it
detect      which API is there
link        requests over HTTP; mwaa: through Amazon's own API
signin      who CKAN is for Airflow
answers     what an answer says, and the error that it means
logs        last lines of a task, without secrets
"""

from .factory import Airflow

__all__ = ["Airflow"]
