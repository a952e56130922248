# Watches one run of the specs (process $1): kills it, naming the test, once a
# test has used up its time. Each line on standard input sets a new limit, as
# "SECONDS NAME"; 0 seconds means that no test is going on. Ends with the run.
pid=$1
deadline=0
name=

report() {
  printf '\n\nspec: time limit passed in: %s\n' "$name"
  for thread in /proc/"$pid"/task/*; do
    [ -r "$thread/comm" ] || continue
    printf '  thread %s: %s, in %s\n' "${thread##*/}" "$(cat "$thread/comm")" \
      "$(cat "$thread/wchan" 2>/dev/null)"
  done | head -n 40
  if command -v gdb >/dev/null && [ -n "$LPOOL_GDB" ]; then
    gdb -p "$pid" -batch -ex "thread apply all backtrace" 2>/dev/null
  fi
}

begun='' # of a line that was cut by the timeout
while :; do
  IFS= read -r -t 1 line
  code=$?
  begun=$begun$line
  if [ "$code" -eq 0 ]; then
    limit=${begun%% *}
    name=${begun#* }
    begun=''
    deadline=0
    [ "$limit" -gt 0 ] && deadline=$((SECONDS + limit))
  elif [ "$code" -le 128 ] || ! kill -0 "$pid" 2>/dev/null; then
    exit 0
  elif [ "$deadline" -gt 0 ] && [ "$SECONDS" -ge "$deadline" ]; then
    report >&2
    kill -ABRT "$pid"
    read -r -t 2 _
    kill -KILL "$pid" 2>/dev/null
    exit 0
  fi
done
