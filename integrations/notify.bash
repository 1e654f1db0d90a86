# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Notifies you on your own computer when a long command has ended. In ~/.bashrc (bash 4.4 or later):
#
#   . .../integrations/notify.bash
#
# RTUN_NOTIFY_SECONDS: how long is long (default 60). RTUN_NOTIFY_SKIP: programs that are never told of.

: "${RTUN_NOTIFY_SECONDS:=60}"
: "${RTUN_NOTIFY_SKIP:=vi vim nvim emacs nano less more man ssh mosh tmux screen top htop watch tail bash zsh fish sh}"

rtun_notify_prompt() {
    local status=$? seconds line first
    # Empty where the line was empty, or this is the first prompt.
    [ -n "${rtun_notify_start-}" ] || return "$status"
    seconds=$((SECONDS - rtun_notify_start))
    rtun_notify_start=
    [ "$seconds" -ge "$RTUN_NOTIFY_SECONDS" ] || return "$status"
    line=$(HISTTIMEFORMAT='' history 1 | sed -e '1s/^ *[0-9]*[* ] *//')
    first=${line%% *}
    case " $RTUN_NOTIFY_SKIP " in *" ${first##*/} "*) return "$status" ;; esac
    # A shell that ends meanwhile, or no tunnel, is nothing to complain of.
    (rtun notify -t "${line:0:60}" -- "ended with $status after $seconds s" </dev/null >/dev/null 2>&1 &)
    return "$status"
}

if [ -n "${BASH_VERSION-}" ] && [ "${BASH_VERSINFO[0]}${BASH_VERSINFO[1]}" -ge 44 ] &&
    [[ ${PROMPT_COMMAND-} != *rtun_notify_prompt* ]]; then
    # Expanded in this very shell before each command line runs: the first none of its own letters.
    PS0="${PS0-}"'${PS0:0:$((rtun_notify_start=SECONDS,0))}'
    PROMPT_COMMAND="rtun_notify_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
fi
