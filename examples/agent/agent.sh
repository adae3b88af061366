#!/bin/sh
# An agent in shell: any program is one. It is started in its own workspace, in a sandbox where only the job's scope is writable.
#
# What it is told: the brief on standard input, and
#   FACTORY_JOB, FACTORY_STATION, FACTORY_ATTEMPT   who is asked, and for the how many-th time
#   FACTORY_BRIEF    a JSON file: title, brief, scope, budget, attempt, failure (the failing tail on a repair), found
#   FACTORY_REPORT   where it may write {"status": "done"|"blocked"|"failed", "summary": "...", "needs_scope": [...]}
# What it says: exit 0, the change is whatever git sees; exit 75, try again later; anything else, failed with its last lines.
#
# This one is real, if modest: it removes blanks at line ends and adds the newline that a file lacks at its end, in the text
# files of its scope. Put your own program between "begin" and "end".
set -eu

echo "job $FACTORY_JOB, attempt $FACTORY_ATTEMPT at station $FACTORY_STATION:"
sed -n '1,5p'                                         # the brief, for whoever reads the log

# begin
git ls-files -z | tr '\0' '\n' | while IFS= read -r file; do
    [ -f "$file" ] && [ -w "$file" ] && [ ! -L "$file" ] || continue
    case "$file" in *.py | *.md | *.txt | *.toml | *.sh | *.js | *.ts | *.c | *.h) ;; *) continue ;; esac
    tidy="$(mktemp)"
    sed -e 's/[[:blank:]]*$//' "$file" > "$tidy"
    [ -z "$(tail -c 1 "$tidy")" ] || echo >> "$tidy"
    if ! cmp -s "$tidy" "$file" && cat "$tidy" 2>/dev/null > "$file"; then
        echo "tidied $file"
    fi
    rm -f "$tidy"
done
# end

if [ -n "${FACTORY_REPORT:-}" ]; then
    printf '{"status": "done", "summary": "removed blanks at line ends"}\n' > "$FACTORY_REPORT"
fi
