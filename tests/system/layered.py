"""What the tests of fixup share: a copy is fixed, boots, keeps its identity, and nothing but what is reported differs.

File systems that this machine cannot mount (LVM, md, LUKS, vfat) are read in an appliance; the server's disk is the base
itself, and the virtual machine's the overlay on it.
"""

import os
from dataclasses import dataclass

import appliance
import harness
import images
import machine
from harness import chapter, check, note
from machine import NEW_MAC, OLD_MAC

PHYSICAL = {"disk_bus": "ahci", "nic": "e1000", "mac": OLD_MAC}
VIRTUAL = {"disk_bus": "virtio", "nic": "virtio-net-pci", "mac": NEW_MAC}
# The name and the keys of all guests: tests/system/guests/trees/common.
HOST, MACHINE_ID = "mail1", "6d61696c31004000800000000000c01d"
PASSPHRASE = "correct horse"
NIGHTLY = os.environ.get("COLDSPARE_NIGHTLY") == "1"
TOOLS = ("mmdebstrap", "qemu-system-x86_64", "qemu-img", "sfdisk")


def begin(*tools, nightly=False):
    """As harness.begin(); a test of the night skips by day."""
    if nightly and not NIGHTLY:
        harness.skip("takes many minutes: scripts/test --nightly runs it (COLDSPARE_NIGHTLY=1)")
    harness.begin(*TOOLS, *tools)


def standby(name):
    """A copy of a guest's disk, as a clone is: to be fixed."""
    return images.sparse_copy(images.guest(name), harness.work("standby.img"))


def does_not_boot(image, claim, **options):
    vm = machine.Vm(image, **{**VIRTUAL, **options})
    outcome = vm.wait_boot()
    check(outcome in machine.DEAD_ENDS, f"{claim}: {outcome} ({vm.seconds():.0f} s)", vm.tail())
    vm.stop()


@dataclass
class Fixed:
    """A fixup that went well."""
    base: object
    digest: str  # of the base before it
    overlay: object
    result: dict
    arguments: tuple

    def boot(self, claim, link="eth0", **options):
        """The virtual machine at its prompt, and its portrait."""
        vm = machine.boot_to_login(self.overlay, claim, image_format="qcow2", **{**VIRTUAL, **options})
        return vm, machine.portrait(vm, link)


def fix(image, *arguments):
    """Runs fixup on a copy that it has to be able to fix completely."""
    digest = images.sha256(image)
    result = harness.coldspare("fixup", image, *arguments, timeout=1200)
    for item in result["fixes"]:
        note(f"{item['id']}: {item['outcome']} - {item.get('detail', '')}")
    overlay = image.with_name(image.name + ".fixup.qcow2")
    cannot = [item for item in result["fixes"] if item["outcome"] == "cannot"]
    check(result["changed"] is True and overlay.exists() and not cannot, "fixup can do all that is to be done", result)
    return Fixed(image, digest, overlay, result, arguments)


def judge_standby(seen, *, addresses=(machine.ADDRESS,), mac=NEW_MAC, server=None):
    """A portrait of the virtual machine: the same server with its network, on virtual hardware. `server` is its portrait
    as a physical one; without it, it is what the guest was built as, which had no failed units."""
    check(seen["addresses"] == list(addresses) and seen["mac"] == mac,
          f"its network card has {' '.join(addresses)} and the MAC {mac}", seen)
    check(seen["nic_driver"] == "virtio_net", "it is a virtio card", seen)
    check(seen["host"] == HOST and seen["machine_id"] == MACHINE_ID, "it has its name and its machine-id", seen)
    if server:
        same = ("host_key", "initiator", "state")
        check(all(seen[key] == server[key] for key in same), "its keys, its iSCSI name and its state are the server's",
              f"{server}\n{seen}")
    failed = set(seen["failed"]) - set(server["failed"] if server else ())
    check(not failed and seen["state"] == (server["state"] if server else "running"),
          f"it is {seen['state']}, and no unit failed that did not fail on the server", seen)


def judge_again(fixed):
    """A second run finds nothing to do, and writes nothing."""
    chapter("fixup again")
    before = images.sha256(fixed.overlay)
    result = harness.coldspare("fixup", fixed.base, *fixed.arguments, timeout=900)
    check(result["changed"] is False, "there is nothing to do", result)
    check(images.sha256(fixed.overlay) == before, "the overlay is the same file, byte for byte")


def judge_base(fixed):
    check(images.sha256(fixed.base) == fixed.digest, "the clone is the same file, byte for byte")


def judge_plain_differences(fixed, points=("/",)):
    """What has changed on a disk of plain partitions, of which the first ones are mounted at `points`."""
    chapter("what has changed")
    flat = images.to_raw(fixed.overlay, harness.work("flat.img"))
    different = []
    for point, place in zip(points, images.partitions(fixed.base)):
        different += [_path(point, path[1:]) for path in images.tree_differences(fixed.base, flat, *place)]
        end = sum(place)
    _judge_files(different, fixed.result)
    check(images.first_difference(fixed.base, flat, 440, 512) is None, "the partition table is the server's")
    check(images.first_difference(fixed.base, flat, end, fixed.base.stat().st_size) is None,
          f"and so is everything behind {' and '.join(points)}")
    flat.unlink()
    judge_base(fixed)


def judge_differences(fixed, *, unlock=None):
    """The same on a disk with more layers; `unlock` is the partition that is encrypted."""
    chapter("what has changed")
    server, copy = _read(fixed.base, "raw", unlock), _read(fixed.overlay, "qcow2", unlock)
    check(server.volumes == copy.volumes, "UUIDs, labels and headers of all volumes are the server's",
          f"{server.volumes}\n{copy.volumes}")
    check(server.points == copy.points, f"the file systems are mounted at {' '.join(server.points)}", copy.points)
    paths = server.tree.keys() | copy.tree.keys()
    _judge_files(sorted(path for path in paths if server.tree.get(path) != copy.tree.get(path)), fixed.result)
    judge_base(fixed)


def _judge_files(different, result):
    unnamed = [path for path in different if not images.covered(path, result["files"])]
    check(different and not unnamed, f"the {len(different)} files that differ are named in the report",
          "not named:\n" + "\n".join(unnamed))
    for path in different[:40]:
        note(path)


@dataclass
class Disk:
    points: list
    tree: dict  # path: type, mode, owner, target of a link, digest
    volumes: str


# Of each partition and volume what makes it itself, in an order that does not depend on device names.
VOLUMES = """
for device in /dev/disk/guestfs/diska?* $(ls -d /dev/md?* /dev/dm-?* 2> /dev/null); do
  blkid -p -o export $device | grep -v -e ^DEVNAME= -e ^PART_ENTRY_DISK= | tr '\\n' ' '; echo
done | sort
lvm vgs --noheadings -o vg_name,vg_uuid; lvm lvs --noheadings -o lv_name,lv_uuid; lvm pvs --noheadings -o pv_uuid
dd if=/dev/disk/guestfs/diska bs=512 skip=1 count=33 2> /dev/null | md5sum
"""
# The digest is for finding differences; nobody makes files that have the same one here.
LISTING = "cd /sysroot{point} && find . -xdev -printf '%y %m %U:%G %l\\t%p\\n'"
DIGESTS = "cd /sysroot{point} && find . -xdev -type f -print0 | xargs -0 -r md5sum -z | tr '\\0' '\\n'"


def _read(image, image_format, unlock):
    with appliance.Appliance({"diska": image}, image_format=image_format, options=["--read-only"]) as machine_:
        header = ""
        if unlock:
            header = machine_.inside(f"dd if={unlock} bs=1M count=16 2> /dev/null | md5sum")
            machine_.unlock(unlock, "sda3_crypt", PASSPHRASE)
        # A mirror that lacks a leg waits for it in here, with nobody to start it.
        machine_.inside("for array in $(sed -n 's/ : inactive .*//p' /proc/mdstat); do mdadm --run /dev/$array; done")
        points = machine_.inspect()
        tree = {}
        for point in points:
            for line in machine_.inside(LISTING.format(point=point)).splitlines():
                what, _, path = line.partition("\t")
                tree[_path(point, path)] = (what,)
            for line in machine_.inside(DIGESTS.format(point=point)).splitlines():
                digest, _, path = line.partition("  ")
                tree[_path(point, path)] += (digest,)
        return Disk(points, tree, header + machine_.inside(VOLUMES))


def _path(point, path):
    """'./etc/fstab' of what is mounted at '/' is '/etc/fstab'."""
    return os.path.normpath(f"/{point}/{path}").replace("//", "/", 1)
