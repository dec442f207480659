# Sourced with the name of a PyPI client, confluent-kafka if none is given: sets PYTHON to a virtual environment with the
# pinned client, made on first use. `extras` are those of the client's package, as in `[lz4]`.
lock="$COMPAT/versions.lock"
package=${1:-confluent-kafka}
version=$(sed -n "s/^$package=//p" "$lock")
venv="$CACHE/$package-$version"
PYTHON="$venv/bin/python"
if [ ! -e "$venv/ready" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$package${extras:-}==$version"
    touch "$venv/ready"
fi
