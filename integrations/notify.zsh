# SPDX-License-Identifier: MIT
#
# Notifies you on your own computer when a long command has ended. In ~/.zshrc:
#
#   . .../integrations/notify.zsh
#
# RTUN_NOTIFY_SECONDS: how long is long (default 60). RTUN_NOTIFY_SKIP: programs that are never told of.

: ${RTUN_NOTIFY_SECONDS:=60}
: ${RTUN_NOTIFY_SKIP:=vi vim nvim emacs nano less more man ssh mosh tmux screen top htop watch tail bash zsh fish sh}

rtun_notify_begin() {
    rtun_notify_start=$SECONDS
    rtun_notify_line=$1
}

rtun_notify_end() {
    local code=$?
    [[ -n ${rtun_notify_start-} ]] || return
    local -i seconds=$((SECONDS - rtun_notify_start))
    unset rtun_notify_start
    (( seconds >= RTUN_NOTIFY_SECONDS )) || return
    local first=${${rtun_notify_line%% *}:t}
    [[ " $RTUN_NOTIFY_SKIP " != *" $first "* ]] || return
    # A shell that ends meanwhile, or no tunnel, is nothing to complain of.
    (rtun notify -t "${rtun_notify_line[1,60]}" -- "ended with $code after $seconds s" </dev/null >/dev/null 2>&1 &)
}

autoload -Uz add-zsh-hook
add-zsh-hook preexec rtun_notify_begin
# First, while $? is still that of the command.
precmd_functions=(rtun_notify_end ${precmd_functions:#rtun_notify_end})
