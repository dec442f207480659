# Sourced by suites on confluent-kafka: sets PYTHON to a virtual environment with the pinned client, made on first use.
lock="$COMPAT/versions.lock"
version=$(sed -n 's/^confluent-kafka=//p' "$lock")
venv="$CACHE/confluent-kafka-$version"
PYTHON="$venv/bin/python"
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "confluent-kafka==$version"
    touch "$venv/ready"
fi
