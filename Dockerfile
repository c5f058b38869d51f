# One image for web, worker, beat, watcher, migrations and backups; docker-compose.yml gives each its command.
FROM python:3.12-slim-trixie AS libraries
COPY requirements.lock /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary=:all: --require-hashes \
        -r /requirements.lock

FROM python:3.12-slim-trixie
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# pg_dump and pg_restore of the database's version.
RUN apt-get update && apt-get install -y --no-install-recommends postgresql-client-17 && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 erp && useradd --uid 10001 --gid erp --no-create-home --home-dir /nonexistent erp
WORKDIR /app
COPY --from=libraries /venv /venv
# What .dockerignore lets through: the application, neither tests nor secrets.
COPY . .
# Readable whatever the umask of the checkout was; only var/ is written to.
RUN chmod -R u=rwX,go=rX . && python -m compileall -q . && install -d -o erp -g erp -m 0700 var /backups
USER erp
# The key signs nothing: it lives for this one command.
RUN SECRET_KEY="$(head -c 48 /dev/urandom | base64 -w 0)" python manage.py collectstatic --no-input -v 0
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=3 CMD ["python", "scripts/web_is_healthy.py"]
# gunicorn.conf.py holds the rest.
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000"]
