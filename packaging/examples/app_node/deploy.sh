#!/bin/sh
# The build script of a Node.js program: keep it in the repository as deploy.sh, and executable. pp-fetcher(1) runs it
# as gunicorn in the new release, before anything is switched to it. If it fails, the release before goes on.
set -eu

# 1. Exactly what package-lock.json says, in node_modules of this release; it goes away with the release, and going back
#    brings the old one back. Packages may run scripts of theirs here, as gunicorn, who runs all the apps. If none of
#    yours needs that, add --ignore-scripts.
npm ci --omit=dev --no-audit --no-fund

#    Where the program is compiled first (TypeScript, a bundler), that takes the packages for development as well:
#npm ci --include=dev --no-audit --no-fund
#npm run build
#npm prune --omit=dev

# 2. Does it parse? This starts nothing. A program that has tests which need no other service should run them here.
node --check server.js
