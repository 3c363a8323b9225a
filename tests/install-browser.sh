#!/bin/sh
# Installs what the browser tests use: Chromium and Poppler by apt, as root on Debian, and axe-core by npm.
# Never fails: a test whose tool is missing skips and names it.
tools=$1
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    command -v chromium >/dev/null 2>&1 && command -v pdftoppm >/dev/null 2>&1 ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium poppler-utils; } >/dev/null 2>&1 ||
        echo "Chromium could not be installed; the browser tests will skip."
fi
if command -v npm >/dev/null 2>&1; then
    npm install --silent --no-save --no-package-lock --prefix "$tools" axe-core >/dev/null 2>&1 ||
        echo "axe-core could not be installed; the accessibility test will skip."
fi
exit 0
