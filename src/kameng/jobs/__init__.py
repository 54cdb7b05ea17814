"""The outbox: work that must not be lost is a row written in the business transaction; Celery is the wake-up."""
