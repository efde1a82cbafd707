"""Scripts that make bash and zsh complete the command line: verbs, flags, experiments, keys of the config.

What does not change with the working directory stands in the script, so that a completion starts no Python; the user's
experiments and runs are looked up by the shell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from revive.config.arguments import VerbParser
from revive.config.experiments import VARIABLE, find_experiments
from revive.config.key_help import key_names
from revive.config.shipped import shipped
from revive.config.verbs import VERBS

_SHELLS: Final = ("bash", "zsh")

_SCRIPT: Final = """\
# Completion of revive for {shell}; made by: revive completion {shell}
{head}
_revive_own() {{  # the user's experiments
  local folders="${{{variable}}}:experiments" folder file
  local IFS=:
  for folder in $folders; do
    for file in "$folder"/*/experiment.yaml; do
      [ -f "$file" ] && file="${{file%/experiment.yaml}}" && echo "${{file##*/}}"
    done
  done
}}

_revive() {{
  local line="${{COMP_LINE:0:$COMP_POINT}}"
  local cur="${{line##* }}" before="${{line% *}}" verb="" words="" kind="" one
  local previous="${{before##* }}"
  COMPREPLY=()
  for one in {verbs}; do
    case " $before " in *" $one "*) verb="$one"; break ;; esac
  done
  case "$previous" in
{values}
  esac
  if [ -z "$words" ]; then
    case "$cur" in
      experiment=*) words="$(printf 'experiment=%s ' {experiments} $(_revive_own))" ;;
      run=*) words="$(for one in runs/*/; do one="${{one%/}}"; echo "run=${{one##*/}}"; done)" ;;
{groups}
      *=*) kind="file" ;;
      *)
        case "$verb" in
{flags}
          *) words="{verbs} experiment= -m --cfg --help --version $(_revive_keys "$cur")" ;;
        esac ;;
    esac
  fi
  local head=""
  if [ "$kind" = file ]; then
    head="${{cur%%=*}}="
    words="$(compgen -f -- "${{cur#*=}}")"
    cur="${{cur#*=}}"
  fi
  local found
  found="$(compgen -W "$words" -- "$cur")"
  [ "$kind" = folder ] && found="$found $(compgen -f -- "$cur")"
  for one in $found; do
    COMPREPLY+=("$(_revive_shaped "$head$one")")
  done
}}

_revive_keys() {{  # keys of the config: whole sections first, then what is in one
  local one
  for one in {keys}; do
    case "$1" in
      *.*) echo "$one=" ;;
      *) case "$one" in *.*) echo "${{one%%.*}}." ;; *) echo "$one=" ;; esac ;;
    esac
  done
}}

_revive_shaped() {{  # what replaces the word under the cursor
  local one="$1"
{shaped}
}}

complete -o nospace -F _revive revive
"""

_SHAPED: Final = {
    "bash": """\
  case "$COMP_WORDBREAKS" in *=*) one="${one#*[^=]=}"; [ "$one" = "" ] && one="$1" ;; esac
  if [ -d "$one" ]; then one="$one/"; fi
  case "$one" in *=|*/|*.) printf %s "$one" ;; *) printf '%s ' "$one" ;; esac""",
    "zsh": """\
  if [ -d "$one" ]; then one="$one/"; fi
  printf %s "$one\"""",
}
_HEAD: Final = {"bash": "", "zsh": "autoload -U +X bashcompinit && bashcompinit\n"}


def completion(arguments: Sequence[str]) -> str:
    """The script for a shell. Raises UserError for a shell that is neither bash nor zsh."""
    parser = VerbParser("completion")
    parser.add_argument("shell", choices=_SHELLS)
    shell = parser.read(arguments).shell
    return _SCRIPT.format(
        shell=shell,
        head=_HEAD[shell],
        variable=VARIABLE,
        verbs=" ".join(verb.name for verb in VERBS),
        experiments=" ".join(find_experiments()),
        keys=" ".join(key_names()),
        values="\n".join(_values()),
        groups="\n".join(_groups()),
        flags="\n".join(_flags()),
        shaped=_SHAPED[shell],
    )


def _values() -> Iterator[str]:
    """Lines that offer the values of a flag."""
    choices = {option.flag: option.choices for verb in VERBS for option in verb.options if option.choices}
    choices["--cfg"] = ("job", "hydra", "all")
    for flag, known in choices.items():
        yield f'    {flag}) words="{" ".join(known)}" ;;'


def _groups() -> Iterator[str]:
    """Lines that offer what can be chosen for a group of the config."""
    conf = shipped("conf")
    for folder in sorted(path for path in conf.iterdir() if path.is_dir()):
        options = sorted(file.stem for file in folder.glob("*.yaml"))
        if options:
            yield f'      {folder.name}=*) words="{" ".join(f"{folder.name}={option}" for option in options)}" ;;'


def _flags() -> Iterator[str]:
    """Lines that offer what stands behind a verb."""
    for verb in VERBS:
        flags = [*verb.flags, "--help"]
        if verb.takes == "keys":
            flags += ["experiment=", "-m", "--cfg", '$(_revive_keys "$cur")']
        if verb.name == "completion":
            flags += _SHELLS
        folder = " kind=folder" if verb.takes in ("bundle", "name", "nothing") else ""
        yield f'          {verb.name}) words="{" ".join(flags)}"{folder} ;;'
