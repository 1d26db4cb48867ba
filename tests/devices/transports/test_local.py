"""The transport to this machine keeps the contract of transports."""

from __future__ import annotations

import os
from shutil import which

import pytest

from gnv2_nas.devices import DeviceProfile
from gnv2_nas.devices.transports import open_transport
from gnv2_nas.devices.transports.local import LocalTransport
from gnv2_nas.devices.transports.script import READ_SCRIPT
from gnv2_nas.errors import ProfileError
from tests.devices.transports.transport_contract import STRANGE, TransportContract, small_files


class TestLocalTransport(TransportContract):
    @pytest.fixture
    def transport(self, tmp_path):
        return LocalTransport("box", tmp_path / "of the device")

    @pytest.fixture
    def full_disk(self):
        return small_files([os.getpid()])


class LoginShell(LocalTransport):
    """A device whose user has another login shell."""

    shell: tuple[str, ...]

    def _client(self):
        return [*self.shell, "-c", READ_SCRIPT]


SHELLS = (("sh",), ("bash",), ("fish",), ("tcsh",), ("mksh",), ("busybox", "sh"))


@pytest.mark.parametrize("shell", [each for each in SHELLS if which(each[0])], ids=" ".join)
def test_words_survive_every_login_shell_that_this_machine_has(tmp_path, shell):
    transport = LoginShell("box", tmp_path)
    transport.shell = shell
    done = transport.run(["printf", "%s\\0", *STRANGE], timeout=20)
    assert done.output.decode().split("\0")[:-1] == STRANGE


def test_a_profile_names_its_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    transport = open_transport("box-1.2", DeviceProfile("this machine"))
    assert transport.folder == f"{tmp_path}/.cache/gnv2-nas/box-1.2"
    assert transport.run(["pwd"], timeout=20).output.decode().strip() == transport.folder


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", "-rf", "é"])
def test_a_name_that_cannot_be_a_folder(name):
    with pytest.raises(ProfileError, match="cannot name a folder"):
        open_transport(name, DeviceProfile(""))
