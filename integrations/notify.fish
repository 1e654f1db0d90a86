# SPDX-License-Identifier: MIT
#
# Notifies you on your own computer when a long command has ended. In ~/.config/fish/config.fish:
#
#   source .../integrations/notify.fish
#
# RTUN_NOTIFY_SECONDS: how long is long (default 60). RTUN_NOTIFY_SKIP: programs that are never told of.

set -q RTUN_NOTIFY_SECONDS; or set -g RTUN_NOTIFY_SECONDS 60
set -q RTUN_NOTIFY_SKIP
or set -g RTUN_NOTIFY_SKIP vi vim nvim emacs nano less more man ssh mosh tmux screen top htop watch tail bash zsh fish sh

function rtun_notify_end --on-event fish_postexec
    set -l code $status
    set -l seconds (math --scale=0 $CMD_DURATION / 1000)
    test $seconds -ge $RTUN_NOTIFY_SECONDS; or return
    set -l first (string split -m 1 ' ' -- $argv[1])[1]
    contains -- (string replace -r '.*/' '' -- $first) $RTUN_NOTIFY_SKIP; and return
    # A shell that ends meanwhile, or no tunnel, is nothing to complain of.
    rtun notify -t (string sub -l 60 -- $argv[1]) -- "ended with $code after $seconds s" </dev/null >/dev/null 2>&1 &
    disown 2>/dev/null
end
