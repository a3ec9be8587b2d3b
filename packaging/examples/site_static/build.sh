#!/bin/sh
# The build script of a site of files: keep it in the repository as build.sh, and executable. pp-fetcher(1) runs it as
# gunicorn in the new release, before anything is switched to it. If it fails, the release before goes on being served.
#
# What is to be served ends up in public/, and nothing else of the repository does.
set -eu

# Either a generator writes it. Each is a package of Debian; let one line stand:
#hugo --minify --destination public
#mkdocs build --strict --site-dir public
#jekyll build --destination public
# or it is in the repository already, in site/:
mkdir public
cp -R site/. public/

# A generator that found nothing to do has still succeeded.
if [ ! -s public/index.html ]; then
	echo "public/index.html is missing or empty" >&2
	exit 1
fi

# For gzip_static of nginx, which then compresses nothing itself.
find public -type f \( -name '*.html' -o -name '*.css' -o -name '*.js' -o -name '*.svg' -o -name '*.xml' \) \
	-exec gzip -k -f -9 -n {} +
