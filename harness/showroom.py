"""`streamproof targets`: what can be put under test by name, which version, and how to get the rest."""

from __future__ import annotations

from dataclasses import replace

from harness.install import installed_version, is_installed
from harness.preset_file import HOME, load_preset, preset_names
from harness.target import Target, parse_target


def versioned(target: Target) -> Target:
    """The target, with the version that this machine would start."""
    return replace(target, version=installed_version(target.preset)) if target.preset else target


def show_targets() -> int:
    """Print the presets; exit code 0."""
    reference = parse_target("reference")
    print(f"{'reference':<12}{reference.version:<12}ready")
    print(f"{'':<12}the built-in proxy that keeps every claim")
    for name in preset_names():
        preset = load_preset(HOME / f"{name}.toml")
        version = installed_version(preset)
        if is_installed(preset):
            state = "ready"
        elif preset.install.pip:
            state = f"made on first use ({preset.install.hint})" if preset.install.hint else "made on first use"
        else:
            state = f"not on this machine; {preset.install.hint}".rstrip("; ")
        print(f"{name:<12}{version:<12}{state}")
        print(f"{'':<12}{preset.about}")
        names = [endpoint.name for endpoint in preset.routes if endpoint.name]
        if names:
            print(f"{'':<12}routes: {', '.join(f'{name}/{route}' for route in names)}")
        if any("{version}" in word for word in preset.install.pip):
            print(f"{'':<12}any version: {name}=={preset.version}")
    return 0
