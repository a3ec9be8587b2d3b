//! Texts that are printed below `--help` and in the manual pages: one section each, named by its first line.

/// For `pp-fetcher`: where its output goes.
pub(super) const OUTPUT: &str = "\
Output:
What is worth keeping goes to standard output, complaints about the command line and the
configuration to standard error.

On a terminal ended steps stay as lines, and what is under way is drawn below them on standard
error: objects fetched, files written, the build's latest line. There is colour unless NO_COLOR
is set. With TERM=dumb, or when either output is no terminal, there are plain lines alone; those
in a file or a pipe begin with the time.

What a person sees holds no control character but the end of a line, wherever it comes from; JSON
has them escaped.

As root pp-fetcher becomes the user of the apps first: see pp-fetcher.toml(5).

As a service, when standard output is the journal, everything is a record with fields: see
pp-fetcher-run(1).";

/// For `pp-fetcher poll`: levels of output and JSON.
pub(super) const POLL: &str = "\
Levels:
Without -q, a line for each app where there is nothing to do, which says why; a line for each
step of a deploy, and one for what came of it, with the reason if it failed.
-q   nothing where there is nothing to do; deploys and failures as above
-qq  failures, each with its reason, and nothing else: for a cron that mails what it is told

With --json, one object a line and one line an app, at its end:
  app      its name
  result   nothing    what is followed is live: revision
           unchanged  what is followed changes none of the app's paths: revision, live
           switched   `current` was switched by hand, and nothing was done: live, current
           held       what is followed is quarantined: quarantine, with revision, reason, at, and
                      configuration (with another one it is tried again), if that counts
           paused     pause, with reason, since and until
           waits      a freeze or a window holds what is followed: revision, and hold with code,
                      what and until
           waiting    after failures, it is too early: trouble, with reason, since, last and count
           busy       another pass is at work, and the app was left to it
           attempted  attempt, with attempt, started_at, revision, previous, author, subject,
                      signed_by, outcome, reason, release, and phases, each with phase, ms and, if
                      it failed, failed; by and code, where a person asked for it and where it failed
           error      nothing could be attempted: error
A poll that has waited for an attempt of another pass has a line for that attempt, and one of its
own only if there is more to say than that the same is live or held back.
An attempt's outcome is good, refused, failed, rolled-back or stuck. With --dry-run too, there is
`would` instead: deploy (revision, live, remarks), fail (revision, why), go-on (revision), go-back
(revision), do-nothing (and a result as above), busy or error (error).
Keys may be added; those that are here stay as they are.";

/// For `pp-fetcher setup`: what is made, and an example.
pub(super) const SETUP: &str = "\
What is made:
The app's file in /etc/pp-fetcher/apps.d, a deploy key for this one repository (a forge takes a key
once), the pinned host key, the policy of pp-restarter, the directories, and where they are wanted
units for gunicorn, a site of nginx, and a drop-in that lets the service write to directories that
are elsewhere. A file that a person has made is never replaced; everything is shown by --dry-run.
The service takes the app up by itself. As soon as the key is registered at the forge, it deploys.

A host key is trusted if it is the one that --host-key-fingerprint names, that the forge is known to
publish, or that a person types. Nothing is trusted unseen.

Example:
  pp-fetcher setup todo --repository git@github.com:me/todo.git --gunicorn todo.wsgi \\
    --build deploy.sh --shared db.sqlite3 --shared media/ --nginx todo.example.org

With --user USER, a user that is there already, the app is that user's own: its files are in
/etc/pp-fetcher/users/USER and /srv/apps/USER, and pp-fetcher@USER polls it.";

/// For `pp-fetcher adopt`: what becomes of the app and its data.
pub(super) const ADOPT: &str = "\
What happens:
The jobs of cron that update the checkout are switched off, and what they have begun is waited for.
A release is made of the live commit, by the usual build script; if that calls sudo, a stand-in says
what it leaves out. The app serves from its checkout meanwhile. Then its unit gets a drop-in whose
WorkingDirectory= is the release, and is restarted once: while it is stopped, the data (databases of
SQLite, media, settings of the host) is renamed to shared/, and a link stays in its old place. If the
app is not well then, everything goes back by itself.

Behind a socket unit no request is refused. Nothing of the old way is deleted; what may be is named
in the end. Until it is, `pp-fetcher adopt APP --undo` leads back.

Example:
  pp-fetcher adopt todo --from /var/www/projects/todo";

/// For `pp-fetcher run`: the records in the journal.
pub(super) const RUN: &str = "\
Journal:
As a service every line is a record of its own. These fields do not change:
  PP_EVENT        begins, step, note or ended
  PP_APP          the app
  PP_PHASE        of a step: poll, look, fetch, verify, checkout, shared, build, switch, restart,
                  probe, back-switch, back-restart or back-probe
  PP_REVISION     all digits of the revision, where it is known
  PP_RELEASE      the release's directory name, at the end of an attempt that came so far
  PP_ATTEMPT      the attempt's number, at its end
  PP_OUTCOME      of a step: good or failed; of a pass, at its end: good, refused, failed,
                  rolled-back, stuck, nothing, unchanged, held, switched, paused, waits, waiting,
                  busy or error
  PP_DURATION_MS  of a step, or of all of an attempt's steps
  MESSAGE         the same in words
  PRIORITY        err: it failed or went back; debug: there was nothing to do; info: all else

journalctl -u pp-fetcher -p info               what was done, without polls that found nothing
journalctl -u pp-fetcher -p err                what failed
journalctl PP_APP=todo PP_EVENT=ended -o json  what each pass over todo came to";

/// For `pp-fetcher doctor`: where it looks from, its links and its JSON.
pub(super) const DOCTOR: &str = "\
Links:
Each is ok, a warning, a fault or skipped, with what to do about it below:
  user           who looked, from where; memberships of groups that have no effect yet
  configuration  the app's file
  key            the deploy key, and whether another app has the same
  forge          the server, its host key, the login, the repository, the branch or tags
  push access    that the server refuses pushes with this key; nothing is sent
  submodules     that each can be read
  root           owner, group and mode of the directories of releases
  disk           room and inodes
  environment    directories under [deploy.env] that the service cannot write; variables that a
                 unit has and the build has not
  clock          that it was not set back
  build script   that it is there and can be run
  shared         files and directories that outlive releases
  restarter      that it answers, and restarts the app's units for this user
  units          that the units can run what is deployed
  app            that the live release is well, by units and health URL
  verify         that the keys that may sign can be read
  state          that it can be written; a pause, held revisions, a way back that fails
  web server     that nginx can connect to the socket of the health URL
  service        that the service that polls runs, with its files as they are now; as root alone
  cron           that cron finds pp-fetcher, where a line of cron polls
  old way        jobs of cron that pull, sudo rules that restart, a checkout in the app's root, a
                 second copy of the key: what was there before pp-fetcher
Nothing is changed, and nothing is deployed.

As root, where a service polls the apps, this looks from inside of the service's own sandbox: with
its user, its drop-ins, its variables.

JSON:
One object with schema (1) and apps, each with app and links; a link has link (its name),
condition (ok, warning, fault or skipped), text, and remedy, a list of lines. Keys, links and
findings may be added; those that are here stay as they are.";

/// For `pp-fetcher status`: its JSON.
pub(super) const STATUS: &str = "\
JSON:
One object with schema (1) and apps, each with
  app          its name
  state        ok, new, quarantined, switched, paused, frozen, waits, failing, stuck or unreadable
  live         revision, release and deployed_at of what is live, or null
  quarantined  what is held back, each with revision, reason and at
  trouble      failures in a row before any attempt: reason, since, last and count, or null
  paused       reason, since and until (null: until `resume`), or null
  last         the last attempt, as in pp-fetcher-history(1), or null
  current      the release that `current` leads to, or null
  under_way    what is being done now: revision, what, phase, since, ended (the phases before), pid
               and started, or null
  hold         what holds new revisions: code (frozen or window), what and until, or null
  waits        the revision that waits for that, or null
  window       the window that is open, or opens next, in words, or null
  changed      what has changed without a commit since the live release was made: names
  leftovers    what keeps old releases from being removed: paths
  error        why nothing else is known, or null
Keys may be added; those that are here stay as they are until schema is another number.";

/// For `pp-fetcher why`: its JSON.
pub(super) const WHY: &str = "\
JSON:
One object with schema (1), app, decision (a sentence), at (when the last pass ended, or null),
rests_on (pairs of a name and a value) and would_change (a list of sentences).

Nothing is asked of the forge: it is the decision of the last pass. That pass is noted in memory,
so that after a start of the host nothing is known until the next one.";

/// For `pp-fetcher history`: its JSON.
pub(super) const HISTORY: &str = "\
JSON:
One object with schema (1), app and attempts, the oldest first, each with
  attempt     its number
  started_at  when it began
  revision    what was to be deployed; previous: what was live before, or null
  author      of the commit, and its subject; signed_by: who signed it, or null
  outcome     good, refused, failed, rolled-back or stuck
  reason      why it ended so, or null
  release     the release's directory name, or null
  phases      each with phase, ms and, if it failed, failed: true
  by          the command by which a person asked for it; code: why it failed, as a word;
              either may be absent
Keys may be added; those that are here stay as they are until schema is another number.";
