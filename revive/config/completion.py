"""Scripts that make bash and zsh complete the command line: verbs, flags, experiments, keys of the config.

What does not change with the working directory stands in the script, so that a completion starts no Python; the user's
experiments and runs are looked up by the shell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
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

_revive_runs() {{
  local folder
  for folder in runs/*/; do
    [ -d "$folder" ] && folder="${{folder%/}}" && echo "${{folder##*/}}"
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
      run=*) words="$(printf 'run=%s ' $(_revive_runs))" ;;
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
  [ "$kind" = folder ] && found="$found"$'\n'"$(compgen -f -- "$cur")"
  while IFS= read -r one; do
    [ -n "$one" ] && COMPREPLY+=("$(_revive_shaped "$head$one")")
  done <<< "$found"
}}

_revive_keys() {{  # keys of the config: whole sections first, then what is in one
  case "$1" in
    *.*) echo "{keys}" ;;
    *) echo "{sections}" ;;
  esac
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
    keys = key_names()
    return _SCRIPT.format(
        shell=shell,
        head=_HEAD[shell],
        variable=VARIABLE,
        verbs=" ".join(verb.name for verb in VERBS),
        experiments=" ".join(find_experiments()),
        keys=" ".join(f"{key}=" for key in keys),
        sections=" ".join(_sections(keys)),
        values="\n".join(_values()),
        groups="\n".join(_groups()),
        flags="\n".join(_flags()),
        shaped=_SHAPED[shell],
    )


def _sections(keys: Sequence[str]) -> list[str]:
    """The keys at the top, the sections that hold the others, and the groups of which one thing is chosen."""
    groups = [f"{folder.name}=" for folder in _choices()]
    return sorted(
        {*groups, *(f"{top}." if rest else f"{top}=" for top, _, rest in (k.partition(".") for k in keys))}
    )


def _choices() -> dict[Path, list[str]]:
    """Folder of a group of the config -> what can be chosen for it."""
    folders = sorted(path for path in shipped("conf").iterdir() if path.is_dir())
    found = {folder: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}
    return {folder: options for folder, options in found.items() if options}


def _values() -> Iterator[str]:
    """Lines that offer the values of a flag."""
    choices = {option.flag: option.choices for verb in VERBS for option in verb.options if option.choices}
    choices["--cfg"] = ("job", "hydra", "all")
    for flag, known in choices.items():
        yield f'    {flag}) words="{" ".join(known)}" ;;'


def _groups() -> Iterator[str]:
    """Lines that offer what can be chosen for a group of the config."""
    for folder, options in _choices().items():
        yield f'      {folder.name}=*) words="{" ".join(f"{folder.name}={option}" for option in options)}" ;;'


def _flags() -> Iterator[str]:
    """Lines that offer what stands behind a verb."""
    for verb in VERBS:
        flags = [*verb.flags, "--help"]
        if verb.takes == "keys":
            flags += ["experiment=", "-m", "--cfg", '$(_revive_keys "$cur")']
        if verb.takes == "run":
            flags.append("$(_revive_runs)")
        if verb.name == "completion":
            flags += _SHELLS
        folder = " kind=folder" if verb.takes in ("bundle", "name", "nothing") else ""
        yield f'          {verb.name}) words="{" ".join(flags)}"{folder} ;;'
