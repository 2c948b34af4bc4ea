# shellcheck shell=bash
# One MCP session over `provost bridge`, each step shown: what was asked, what came back. Needs jq.

if [[ -t 1 ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' plain=''
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }

id=0
# request METHOD PARAMS: leaves the result in $result.
request() {
  id=$((id + 1))
  jq -cn --argjson id "$id" --arg method "$1" --argjson params "$2" \
    '{jsonrpc: "2.0", id: $id, method: $method, params: $params}' >&"$to"
  local line
  while read -r line <&"$from"; do
    if [[ $(jq -r '.id // empty' <<<"$line") == "$id" ]]; then
      result=$(jq -c '.result // .error' <<<"$line")
      return
    fi
  done
  echo "The daemon closed the connection." >&2
  return 1
}

# exec_ ARGUMENTS: calls the tool and shows both sides; leaves the structured answer in $answer.
exec_() {
  printf '%s-> exec %s%s\n' "$bold" "$(jq -c . <<<"$1")" "$plain"
  request tools/call "$(jq -cn --argjson arguments "$1" '{name: "exec", arguments: $arguments}')"
  answer=$(jq -c .structuredContent <<<"$result")
  jq -r '(.stdout // ""), (.stderr // "")' <<<"$answer" | sed '/^$/d; s/^/   | /' | head -n 14
  jq -r '[(if .exit_code != null then "exit \(.exit_code)" elif .signal then "signal \(.signal)" else "not run" end),
          "\(.duration_ms // 0) ms", "lane \(.lane // "-")",
          (if .landlock_abi then "Landlock ABI \(.landlock_abi), seccomp \(.seccomp)" else empty end),
          (if .timed_out then "timed out" else empty end)] | "<- " + join(", ")' <<<"$answer"
  jq -r '(.refused // empty) | "   \(.by) it was refused: \(.what). \(.next)"' <<<"$answer"
  jq -r '(.error // empty) | "   \(.message). \(.next)"' <<<"$answer"
}

# read_ TOOL ARGUMENTS: `find` or `read`, both sides shown; leaves the structured answer in $answer.
read_() {
  printf '%s-> %s %s%s\n' "$bold" "$1" "$(jq -c . <<<"$2")" "$plain"
  request tools/call "$(jq -cn --arg name "$1" --argjson arguments "$2" '{name: $name, arguments: $arguments}')"
  answer=$(jq -c .structuredContent <<<"$result")
  jq -r '(.matches // [])[:3][] | "   | \(.method) \(.path)  [\(.tier)]\(if .needs != [] then "  needs \(.needs | join(", "))" else "" end)"' <<<"$answer"
  jq -r '(.data // empty) | if type == "array" then .[:5][] else . end | "   | \(tojson)"' <<<"$answer" | cut -c1-160
  jq -r 'select(.data) | "<- \(.path)\(if .total then ": \(.total) rows in all" else "" end)"' <<<"$answer"
  jq -r '(.error // empty) | "   \(.message). \(.next)"' <<<"$answer"
}

expect() { # FILTER WHAT: a demo that goes wrong says so and fails.
  if jq -e "$1" <<<"$answer" >/dev/null; then
    printf '%s   ok: %s%s\n' "$green" "$2" "$plain"
  else
    printf '%s   NOT: %s%s\n   %s\n' "$red" "$2" "$plain" "$answer"
    exit 1
  fi
}

play() { # PROVOST SOCKET GUEST
  local provost=$1 socket=$2 guest=$3
  heading "An MCP session, as a client on a workstation has it: provost bridge"
  coproc BRIDGE { "$provost" bridge --socket "$socket"; }
  # shellcheck disable=SC2154 # coproc sets it
  exec {from}<&"${BRIDGE[0]}" {to}>&"${BRIDGE[1]}"
  # The originals too, or the bridge would never see the end of its input.
  exec {BRIDGE[0]}<&- {BRIDGE[1]}>&-
  request initialize '{"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "demo", "version": "1"}}'
  printf '{"jsonrpc":"2.0","method":"notifications/initialized"}\n' >&"$to"
  jq -r '"connected to \(.serverInfo.name) \(.serverInfo.version), MCP \(.protocolVersion)"' <<<"$result"
  request tools/call '{"name": "status", "arguments": {}}'
  jq -r '.structuredContent | "I am \(.principal.user // .principal.uid), in role \(.role), and may go as far as: \(.exec.lane)"' <<<"$result"

  heading "The whole API in two tools: find what does it, read what is there"
  read_ find '{"query": "give vm 120 more ram", "limit": 3}'
  expect '.matches[0].path | endswith("/qemu/120/config")' "plain words find the endpoint, with how far it can reach"
  read_ read '{"path": "/cluster/resources", "where": "type = qemu and status = running", "sort": "-mem", "fields": ["vmid", "name", "node", "mem"], "limit": 3}'
  expect '.data | length == 3' "rows filtered, sorted and cut on the node"
  read_ read "{\"path\": \"status of container $guest\"}"
  expect '.data.status == "running"' "words do for a path"
  read_ read '{"path": "delete vm 120"}'
  expect '.error.kind == "not_a_read"' "words that mean a change are refused, with what to use"

  heading "A diagnosis in the inspect lane: it reads everything"
  exec_ "{\"guest\": $guest, \"argv\": [\"df\", \"-h\", \"/\"]}"
  exec_ "{\"guest\": $guest, \"script\": \"ps -eo pid,user,stat,comm --sort=pid | head -5; echo; journalctl -b --no-pager -n 3\"}"
  expect '.exit_code == 0 and (.stdout | contains("systemd"))' "the container's processes and its journal are readable"

  heading "A write there: the kernel refuses it, whatever the command is"
  exec_ "{\"guest\": $guest, \"argv\": [\"sh\", \"-c\", \"echo hello > /etc/motd\"]}"
  expect '.exit_code != 0 and .refused.what == "write"' "refused, and the answer says by what and what would do it"

  heading "The same in the change lane, and a look at it"
  exec_ "{\"guest\": $guest, \"mode\": \"change\", \"argv\": [\"sh\", \"-c\", \"echo hello > /etc/motd\"]}"
  exec_ "{\"guest\": $guest, \"argv\": [\"cat\", \"/etc/motd\"]}"
  expect '.stdout == "hello\n"' "changed"

  heading "A command that would never end, and hides its children"
  exec_ "{\"guest\": $guest, \"mode\": \"change\", \"timeout_s\": 1, \"script\": \"setsid sleep 31536000 & trap '' TERM; sleep 31536000\"}"
  expect '.timed_out' "ended at its time limit"
  exec_ "{\"guest\": $guest, \"script\": \"ps -eo args | grep -c '[s]leep 31536000'\"}"
  expect '.stdout == "0\n"' "and nothing of it is left"

  heading "A container that the operator did not list"
  exec_ '{"guest": 999, "argv": ["id"]}'
  expect '.error' "refused, with what to do about it"

  exec {to}>&- {from}<&-
  wait "$BRIDGE_PID" 2>/dev/null || true
}
