"""Reads `statemachine-project.yaml`, and reports everything that is wrong in it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ...storage.names import machine_name_fault
from ..definition.field_kinds import (
    DURATION,
    POSITIVE_DURATION,
    TEXT,
    Field,
    Fields,
    choice,
    number,
    read_fields,
)
from ..definition.fields import (
    choice_of,
    items_of,
    name_of,
    number_of,
    one_or_more,
    pairs_of,
    text_of,
    warn_unknown_keys,
)
from ..definition.loader import load
from ..definition.problems import Problems, did_you_mean, listing, quoted
from ..definition.secrets import sources_in
from ..definition.settings_section import read_context
from ..definition.yaml_nodes import Node, compose, read_text
from ..errors import ConfigError
from .manifest import Manifest, Member, Policy, Restart, base_of

FILE_NAME = "statemachine-project.yaml"

#: larger numbers are taken for typing errors: an instance needs two threads, a process an interpreter
MOST_INSTANCES, MOST_PROCESSES = 10_000, 1_000

SYSTEM: Fields = {
    "project": Field("The name of the system (default: the folder's)."),
    "description": Field("What the system is for."),
    "db": Field("The database of all its machines: a path, sqlite:///… or postgresql://…; --db overrides it.", TEXT),
    "actions_dir": Field("Folder of your own actions, for all its machines.", TEXT),
    "logs_dir": Field("Folder of its log files (default `logs`).", TEXT),
    "processes": Field("Number of processes that share the machines (1).", number(1, MOST_PROCESSES, whole=True)),
    "ports": Field("Ports of its page: `ui` (3001) and `websocket` (3002)."),
    "grace": Field("Time that running actions get after a stop (default `10s`).", DURATION),
    "restart": Field("What happens to machines that fail: `on-failure`, `always`, `never`, or a map."),
    "hooks": Field("Shell commands around start and stop: `pre_start`, `post_start`, `pre_stop`."),
    "machines": Field("Its machines: a list, or a map from name to settings."),
}
MACHINE: Fields = {
    "config": Field("The machine's YAML file.", TEXT),
    "machine_name": Field("Its name (default: the name in its file)."),
    "initial_context": Field("Context values that it starts with."),
    "instances": Field(
        "Number of instances; from 2 on their names are NAME_001, NAME_002, …", number(1, MOST_INSTANCES, whole=True)
    ),
    "depends_on": Field("Machines that must be ready before it starts."),
    "start": Field("`auto`, with the system, or `manual`, by `restart NAME`.", choice("auto", "manual")),
    "restart": Field("As for the system, for this machine."),
    "actions_dir": Field("Folder of its own actions.", TEXT),
}
RESTART: Fields = {
    "policy": Field("`on-failure` (default), `always`, `never`.", choice(*get_args(Policy))),
    "delay": Field("Time before the first restart (`250ms`); it doubles with each further one.", DURATION),
    "max_delay": Field("Longest delay (`30s`).", DURATION),
    "crashes": Field("Number of failures (5) …", number(1, whole=True)),
    "within": Field("… in this time (`1m`) after which it is given up.", POSITIVE_DURATION),
}
PORTS = ("ui", "websocket")
HOOKS = ("pre_start", "post_start", "pre_stop")


def read_manifest(path: Path) -> Manifest:
    """Read a manifest, or the one in a folder. Raises ConfigError with all its problems."""
    path = path.resolve()
    path = path / FILE_NAME if path.is_dir() else path
    problems = Problems()
    root = compose(read_text(path, problems), str(path), problems)
    if root.pairs is None:
        hint = "write 'machines:' at the left margin, and below it a list of '- config: FILE'"
        raise problems.fatal(root.mark, f"a manifest must be a mapping, not {root.kind}", hint, code="E000")
    return _Reading(root, path, problems).manifest()


# Helpers


def project_in(folder: Path) -> str:
    """Return the project's name from the manifest of a folder, or the folder's name."""
    path, problems = folder.resolve() / FILE_NAME, Problems()
    if path.is_file():
        with suppress(ConfigError):
            return _Reading(compose(read_text(path, problems), str(path), problems), path, problems).project()
    return _usual_name(path)


@dataclass(slots=True)
class _Reading:
    """One pass over a manifest; it collects problems and raises them at the end."""

    root: Node
    path: Path
    problems: Problems

    def manifest(self) -> Manifest:
        root, problems = self.root, self.problems
        warn_unknown_keys(root, "a manifest", {**SYSTEM, "name": ""}, problems)
        values = read_fields(root, "", SYSTEM, problems)
        usual = _restart(root.get("restart"), Restart(), problems), self._actions_dir(root, values)
        groups = list(self._groups(*usual))
        members = self._in_order(self._linked(groups))
        result = Manifest(
            source=self.path,
            project=self.project(),
            db=self._db(values.get("db")),
            logs_dir=self._folder(values.get("logs_dir") or "logs"),
            processes=values.get("processes", 1),
            ports=self._ports(),
            grace_s=values.get("grace_s", 10.0),
            hooks=self._hooks(),
            members=tuple(members),
            warnings=tuple(problems.warnings),
        )
        if problems.errors:
            raise problems.failure()
        return result

    def project(self) -> str:
        node = self.root.get("project") or self.root.get("name")
        if node is not None and node.pairs is not None:
            node = node.get("name")
        name = None if node is None else name_of(node, "the project's name", self.problems)
        return name or _usual_name(self.path)

    def _db(self, url: str | None) -> str | None:
        node = self.root.get("db")
        if node is not None and url and ":memory:" in url:
            hint = "name a file, or a PostgreSQL database"
            self.problems.error(node.mark, "a database in memory cannot be shared by processes", hint)
        return url

    def _ports(self) -> dict[str, int]:
        return {
            key.text: int(number_of(body, f"port {key.text}", 0, self.problems, most=65535, whole=True) or 0)
            for key, body in self._pairs("ports", PORTS)
        }

    def _hooks(self) -> dict[str, tuple[str, ...]]:
        hooks: dict[str, tuple[str, ...]] = {}
        for key, body in self._pairs("hooks", HOOKS):
            commands = one_or_more(body, "a hook", self.problems)
            lines = [text_of(command, f"hook {key.text}", self.problems) for command in commands]
            hooks[key.text] = tuple(line for line in lines if line)
        return hooks

    def _pairs(self, section: str, known: tuple[str, ...]) -> Iterator[tuple[Node, Node]]:
        """Yield the keys and values of a section, and warn about unknown keys."""
        node = self.root.get(section)
        yield from pairs_of(node, section, self.problems)
        if node is not None:
            warn_unknown_keys(node, section, known, self.problems)

    def _groups(self, restart: Restart, actions_dir: Path | None) -> Iterator[tuple[list[Member], Node | None]]:
        """Yield the members of each entry, and the node of what they depend on."""
        node = self.root.get("machines")
        entries: list[tuple[Node | None, Node]]
        if node is not None and node.pairs is not None:
            entries = [*node.pairs]
        else:
            entries = [(None, item) for item in items_of(node, "machines", self.problems)]
        for key, body in entries:
            yield self._members(key, body, restart, actions_dir), body.get("depends_on")
        if not entries:
            mark = (node or self.root).mark
            self.problems.error(mark, "a manifest needs 'machines'", "below it a list of '- config: FILE'")

    def _members(self, key: Node | None, body: Node, restart: Restart, actions_dir: Path | None) -> list[Member]:
        """Return the members of one entry; a plain text is the path of its file."""
        problems = self.problems
        values = read_fields(body, "", MACHINE, problems)
        if body.pairs is None:
            if not isinstance(body.value, str):
                problems.error(body.mark, f"a machine must be a mapping, not {body.kind}", "write '- config: FILE'")
                return []
            file: str | None = body.value
        else:
            warn_unknown_keys(body, "a machine of a manifest", MACHINE, problems)
            file = values.get("config")
        if file is None:
            problems.error(body.mark, "a machine needs its 'config'", "write 'config: FILE'", code="E010")
            return []
        config = self._folder(file)
        usual = Member(
            name="",
            config=config,
            context=_context(body, problems),
            actions_dir=self._actions_dir(body, values) or actions_dir,
            auto=values.get("start") != "manual",
            restart=_restart(body.get("restart"), restart, problems),
            mark=body.mark,
        )
        names = self._names(key or body.get("machine_name"), body, config, values.get("instances", 1))
        return [replace(usual, name=name) for name in names]

    def _names(self, node: Node | None, body: Node, config: Path, count: int) -> list[str]:
        """Return one name for each instance."""
        name = _name_in(config) if node is None else name_of(node, "machine_name", self.problems) or ""
        names = [name] if count == 1 else [f"{name}_{place:03d}" for place in range(1, count + 1)]
        fault = machine_name_fault(names[-1]) if name else None
        if fault is not None:
            hint = "each instance adds its number" if count > 1 else None
            self.problems.error((node or body).mark, f"machine name {quoted(names[-1])} {fault}", hint, code="E019")
        return names

    def _actions_dir(self, node: Node, values: Mapping[str, Any]) -> Path | None:
        """Return the folder of `actions_dir`, one of the read values of a mapping."""
        place = node.get("actions_dir")
        if place is None or "actions_dir" not in values:
            return None
        folder = self._folder(values["actions_dir"])
        if not folder.is_dir():
            message = f"actions_dir {quoted(values['actions_dir'])}: no such folder"
            self.problems.error(place.mark, message, code="E016")
        return folder

    def _linked(self, groups: list[tuple[list[Member], Node | None]]) -> list[Member]:
        """Return every member with the names of the members that it depends on."""
        known: dict[str, list[str]] = {}
        for members, _ in groups:
            for member in members:
                if member.name in known:
                    self.problems.error(
                        member.mark, f"two machines are called {member.name}", "give each a machine_name", code="E018"
                    )
                known[member.name] = [member.name]
        for members, _ in groups:
            if len(members) > 1:
                base = base_of(members[0].name)
                if known.get(base) == [base]:
                    message = f"{base} is a machine, and also the common name of {members[0].name} and the others"
                    self.problems.error(members[0].mark, message, "give one of them another machine_name", code="E018")
                known[base] = [member.name for member in members]
        manual = {member.name for members, _ in groups for member in members if not member.auto}
        linked = []
        for members, node in groups:
            auto = any(member.auto for member in members)
            names = tuple(dict.fromkeys(self._dependencies(node, known, manual if auto else set())))
            linked += [replace(member, depends_on=names) for member in members]
        return linked

    def _dependencies(self, node: Node | None, known: Mapping[str, list[str]], barred: set[str]) -> Iterator[str]:
        for item in one_or_more(node, "depends_on", self.problems):
            name = name_of(item, "depends_on", self.problems)
            if name is not None and name not in known:
                hint = did_you_mean(name, known)
                message = f"depends_on: there is no machine {quoted(name)}; machines: {listing(known)}"
                self.problems.error(item.mark, message, hint, code="E002")
            elif name is not None and barred.intersection(known[name]):
                message = f"depends_on: {quoted(name)} is started by hand, so this one would never start"
                self.problems.error(item.mark, message, f"give {name} 'start: auto', or this one 'start: manual'")
            yield from known.get(name or "", ())

    def _in_order(self, members: list[Member]) -> list[Member]:
        """Return the members so that each follows its dependencies, else in the order of the file."""
        ordered: dict[str, Member] = {}
        left = members
        while left:
            for member in left:
                if ordered.keys() >= set(member.depends_on):
                    ordered[member.name] = member
            waiting = [member for member in left if member.name not in ordered]
            if len(waiting) == len(left):
                names = listing(member.name for member in left)
                self.problems.error(left[0].mark, f"these depend on each other, so none can start: {names}")
                return members
            left = waiting
        return list(ordered.values())

    def _folder(self, given: str) -> Path:
        return (self.path.parent / Path(given).expanduser()).absolute()


def _usual_name(path: Path) -> str:
    return path.parent.name or "project"


def _restart(node: Node | None, usual: Restart, problems: Problems) -> Restart:
    """Read a policy by name, or a map."""
    if node is None or node.value is None:
        return usual
    given: dict[str, Any]
    if node.pairs is None:
        given = {"policy": choice_of(node, "restart", get_args(Policy), problems) or usual.policy}
    else:
        warn_unknown_keys(node, "restart", RESTART, problems)
        given = read_fields(node, "", RESTART, problems)
    return replace(usual, **given)


def _context(body: Node, problems: Problems) -> dict[str, Any]:
    context = read_context(body, problems, key="initial_context")
    for source in sources_in(context):
        hint = "write it under 'context' of the machine's own file"
        problems.error(source.mark, "a manifest cannot pass secrets to a machine", hint)
    return context


def _name_in(config: Path) -> str:
    """Return the name in a machine's file; problems of the file are reported when it is checked."""
    try:
        return load(config).machine_name
    except ConfigError:
        return config.stem
