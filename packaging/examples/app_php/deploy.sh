#!/bin/sh
# The build script of a PHP application: keep it in the repository as deploy.sh, and executable. pp-fetcher(1) runs it
# as gunicorn in the new release, before anything is switched to it. If it fails, the release before goes on.
set -eu

# 1. Exactly what composer.lock says, in vendor/ of this release; it goes away with the release, and going back brings
#    the old one back. Packages and the project may run scripts here, as gunicorn, who runs all the apps: --no-scripts
#    and --no-plugins if none is needed.
composer install --no-dev --no-interaction --no-progress --prefer-dist --optimize-autoloader

# 2. The extensions and the version of PHP that the packages ask for, and every file of our own parses.
composer check-platform-reqs --no-dev --lock
find . -path ./vendor -prune -o -type f -name '*.php' -print0 | xargs -0 -r -n 1 php -l >/dev/null

# 3. The database: the release before works on it until the switch, and again if this one is taken back. So add in one
#    release and remove in a later one.
#php bin/console doctrine:migrations:migrate --no-interaction
#php artisan migrate --force
