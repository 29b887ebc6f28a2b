"""The environments of containers, built with namespaces: a private or shared /dev/shm, and a private or shared root."""

import json
import os
import subprocess

import h5py
import numpy as np
import pytest

SPACES = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]


def may_unshare():
    try:
        return subprocess.run([*SPACES, "mount", "-t", "tmpfs", "x", "/mnt"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not may_unshare(), reason="no namespaces and mounts for this user")


@pytest.fixture
def inside(cli, root, tmp_path):
    """Runs a script in new namespaces, with the directories of the host as $shm and $root."""
    (tmp_path / "host-shm").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cute-shm").symlink_to(cli.binary)

    def inside(script):
        environment = dict(cli.environment, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", shm=str(tmp_path / "host-shm"),
                           root=str(root), CUTE_SHM_ROOT=str(root))
        script = 'mount --bind /dev/shm "$shm"; mount -t tmpfs -o size=64m shm /dev/shm; ' + script
        return subprocess.run([*SPACES, "bash", "-ec", script], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60, cwd=tmp_path)

    return inside


@pytest.fixture
def loaded(cli, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["a"] = np.arange(1000.0)
    cli.load(project, tmp_path / "in.h5")
    return project


def state(done, name):
    """Returns the state of one project, or `None` if it is not listed. Other tests use the same shared memory."""
    assert done.returncode == 0, done.stderr
    found = [project["state"] for project in json.loads(done.stdout)["projects"] if project["name"] == name]
    return found[0] if found else None


def outside(cli):
    return subprocess.run(cli.command("list", "--json"), env=cli.environment, capture_output=True, text=True)


def test_project_is_elsewhere_and_kept_in_a_private_dev_shm(cli, inside, loaded):
    assert state(inside("cute-shm list --json"), loaded) == "elsewhere"
    assert state(inside("cute-shm gc --broken >/dev/null; cute-shm list --json"), loaded) == "elsewhere"
    assert inside(f"cute-shm unlink {loaded}").returncode == 6
    assert inside(f"cute-shm load-hdf5 {loaded} in.h5 --persistent --overwrite").returncode == 4
    assert state(outside(cli), loaded) == "live"


def test_project_is_live_in_a_shared_dev_shm(inside, loaded):
    assert state(inside('mount --bind "$shm" /dev/shm; cute-shm list --json'), loaded) == "live"


def test_environment_selects_a_dev_shm_at_another_path(inside, loaded, tmp_path):
    script = 'export CUTE_SHM_DIR="$shm"; cute-shm list --json'
    assert state(inside(script), loaded) == "live"
    shown = inside(f'export CUTE_SHM_DIR="$shm"; cute-shm show {loaded} /a --python').stdout
    assert f"attach('{tmp_path}/host-shm/cute-shm.{loaded}." in shown


def test_bind_mounted_root_is_the_same_root(cli, inside, loaded, project):
    script = 'mkdir other; mount --bind "$root" other; mount --bind "$shm" /dev/shm; export CUTE_SHM_ROOT=other; '
    assert state(inside(script + "cute-shm list --json"), loaded) == "live"
    done = inside(script.replace("mkdir other; ", "") + f"cute-shm unlink {loaded}")
    assert done.returncode == 0, done.stderr
    assert state(outside(cli), project) is None


def test_project_loaded_inside_ends_with_the_container(cli, inside, project, tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as f:
        f["a"] = np.arange(1000.0)
    script = f"CUTE_SHM_ROOT=$PWD/own; export CUTE_SHM_ROOT; cute-shm load-hdf5 {project} in.h5 --persistent -q >/dev/null; cute-shm list --json"
    assert state(inside(script), project) == "live"
    assert state(outside(cli), project) is None


def test_doctor_reports_the_64_mb_of_a_container(inside):
    done = inside("cute-shm doctor")
    assert "64 MiB" in done.stdout and "--shm-size" in done.stdout
