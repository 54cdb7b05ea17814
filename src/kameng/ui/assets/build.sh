#!/bin/sh
# Builds the style sheet from every template's classes. Safe to run by several at once: one at a time, swapped in whole.
set -eu
cd "$(dirname "$0")"
exec 9>.build.lock
flock 9
[ -d node_modules ] || npm ci --ignore-scripts --no-audit --no-fund
out=../static/ui/app.css
./node_modules/.bin/tailwindcss --input css/app.css --output "$out.new" --minify
mv "$out.new" "$out"
