#!/bin/sh
# Counts what pp-restarter has done and refused, from its records in the journal, into a file for node_exporter's textfile
# collector. The restarter itself keeps no counters: what is root stays small. restarter-metrics.service runs this each
# minute; see there how to install it.
#
# usage: restarter-metrics.sh DIRECTORY    (it keeps its place in the journal, the counts and pp-restarter.prom there)
set -eu

[ $# = 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }
cd "$1"
[ -e counts ] || : >counts
rm -f cursor.new
[ ! -e cursor ] || cp cursor cursor.new

# Only records of the unit itself: anybody can write others under its name. What a caller has typed is in no label.
journalctl --quiet --cursor-file=cursor.new --output=export _SYSTEMD_UNIT=pp-restarter.service |
	awk -v counts=counts '
	function add(key, times) { all[key] += times }
	BEGIN { while ((getline line < counts) > 0) { n = index(line, " "); all[substr(line, n + 1)] = substr(line, 1, n - 1) } }
	/^PP_[A-Z_]*=/ { n = index($0, "="); field[substr($0, 1, n - 1)] = substr($0, n + 1); next }
	/^$/ {
		event = field["PP_EVENT"]; unit = field["PP_UNIT"]
		if (event == "decision") add("pp_restarter_decisions_total{verdict=\"" field["PP_VERDICT"] "\"}", 1)
		if (event == "repeated") add("pp_restarter_decisions_total{verdict=\"not written down\"}", field["PP_TIMES"])
		if (event == "job") add("pp_restarter_jobs_total{unit=\"" unit "\",result=\"" field["PP_JOB"] "\"}", 1)
		if (event == "limited") add("pp_restarter_limited_total{unit=\"" unit "\"}", 1)
		delete field
	}
	END { for (key in all) print all[key] " " key }' >counts.new

{
	echo "# HELP pp_restarter_decisions_total Requests, by what was decided; a flood of refusals is counted, not written down."
	echo "# TYPE pp_restarter_decisions_total counter"
	sed -n 's/^\([0-9]*\) \(pp_restarter_decisions_total.*\)/\2 \1/p' counts.new | sort
	echo "# HELP pp_restarter_jobs_total What systemd was asked to do, by unit and result."
	echo "# TYPE pp_restarter_jobs_total counter"
	sed -n 's/^\([0-9]*\) \(pp_restarter_jobs_total.*\)/\2 \1/p' counts.new | sort
	echo "# HELP pp_restarter_limited_total How often a unit's limit was reached."
	echo "# TYPE pp_restarter_limited_total counter"
	sed -n 's/^\([0-9]*\) \(pp_restarter_limited_total.*\)/\2 \1/p' counts.new | sort
} >pp-restarter.prom.new
chmod 644 pp-restarter.prom.new
mv counts.new counts
[ ! -e cursor.new ] || mv cursor.new cursor
mv pp-restarter.prom.new pp-restarter.prom
