"""The Celery application of a worker, which executes runs of Dagster on its host.

    cd deploy/celery
    celery -A celery_app worker -Q dagster --concurrency 1 --prefetch-multiplier 1

It uses the launcher's broker and result backend: see dagster.yaml in this directory. Like the code
server, a worker needs the platform's settings and DAGSTER_HOME.
"""

import os

from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

app = make_app(
    {
        "broker": os.environ["DAGSTER_CELERY_BROKER"],
        "backend": os.environ["DAGSTER_CELERY_BACKEND"],
    }
)

execute_job = create_execute_job_task(app)
resume_job = create_resume_job_task(app)
