#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The file that describes one standby, /etc/coldspare/NAME.toml: where its server is, what its
/// virtual machine looks like, and how often it is renewed. docs/FORMATS.md 11 is its manual; this
/// is what a reader of it gets: every value checked, every default filled in.
namespace coldspare::standby {

/// How the server's disks come here.
struct SourceSettings {
    std::string host;       ///< what messages call the server: "mail01.example.lan"
    std::string connect;    ///< "HOST:PORT" where its `send` listens; or
    std::string listen;     ///< "[ADDRESS:]PORT" where its `send --connect` comes
    std::string token_file; ///< absolute; empty: a pairing that is kept
    bool used_only = false;
    friend bool operator==(const SourceSettings&, const SourceSettings&) = default;
};

/// A disk of the server and its copy here. The first one is the one that the server starts from,
/// unless a fixup has said otherwise.
struct DiskSettings {
    std::string source; ///< how `receive` is told: a name ("sda") or a serial number
    std::string image;  ///< absolute: a file, or a block device
    friend bool operator==(const DiskSettings&, const DiskSettings&) = default;
};

enum class NicWay { network, bridge, user, none };

/// A network card of the virtual machine.
struct NicSettings {
    std::string name; ///< in the server: "eth0"
    std::string mac;  ///< the VM's, in lower case
    NicWay way = NicWay::none;
    std::string network; ///< of libvirt's networks or of bridges, or empty
    std::string model;   ///< "virtio", "e1000", ...; empty: what the copy has a driver for
    friend bool operator==(const NicSettings&, const NicSettings&) = default;
};

enum class Acceleration { automatic, kvm, tcg };

/// The virtual machine.
struct MachineSettings {
    std::string uri;    ///< libvirt's; empty: the embedded driver below the state directory
    std::string domain; ///< its name there
    unsigned cpus = 0;
    std::uint64_t memory = 0; ///< bytes
    std::string firmware;     ///< "bios", "uefi"; empty: what the copy needs
    std::string disk_bus;     ///< "virtio", "scsi", "sata", "ide"; empty: likewise
    Acceleration acceleration = Acceleration::automatic;
    bool lease = false; ///< whether disks get a lease of virtlockd or sanlock
    std::vector<DiskSettings> disks;
    std::vector<NicSettings> nics;
    friend bool operator==(const MachineSettings&, const MachineSettings&) = default;
};

/// What fixup is asked for.
struct FixupSettings {
    std::vector<std::string> holds;
    std::string initiator_name;
    bool disable_agents = false;
    std::vector<std::string> skip;
    std::vector<std::string> key_files;
    friend bool operator==(const FixupSettings&, const FixupSettings&) = default;
};

/// A volume that is not cloned: the standby takes it over from the old server.
struct VolumeSettings {
    std::string path; ///< where it is mounted
    std::string uuid; ///< of its file system
    std::string wwid;
    std::string target;   ///< iSCSI: the target's name
    std::string portal;   ///< iSCSI: "ADDRESS:PORT"
    std::string sentinel; ///< a file in it that proves that it is the right one
    friend bool operator==(const VolumeSettings&, const VolumeSettings&) = default;
};

/// How the copy is tried out.
struct DrillSettings {
    std::uint64_t boot_timeout = 600; ///< seconds until it must answer
    std::vector<std::string>
        quarantine; ///< services that must not run in a drill, besides the holds
    std::vector<std::string> closed_ports; ///< that nobody may listen at: "143", "tcp/25"
    friend bool operator==(const DrillSettings&, const DrillSettings&) = default;
};

/// When `status` turns amber and red.
struct LimitSettings {
    std::uint64_t max_age = 35 * 86400;        ///< seconds since the copy was made
    std::uint64_t max_undrilled = 120 * 86400; ///< seconds since the last drill
    friend bool operator==(const LimitSettings&, const LimitSettings&) = default;
};

struct StandbyFile {
    std::string name; ///< of the standby: the file's, without ".toml"
    SourceSettings source;
    MachineSettings machine;
    FixupSettings fixup;
    std::vector<VolumeSettings> volumes;
    DrillSettings drill;
    LimitSettings limits;
    unsigned keep = 2; ///< generations of the copy, the current one included
    friend bool operator==(const StandbyFile&, const StandbyFile&) = default;
};

/// Reads the text of a standby's file. `path` is what complaints call it, and its name without
/// ".toml" is the standby's. Throws Error (usage) with every complaint (base/config.hpp): also two
/// cards with one MAC, two disks in one image, both `connect` and `listen` or neither.
[[nodiscard]] StandbyFile parse_standby_file(const std::filesystem::path& path,
                                             std::string_view text);

/// Reads CONFIG-DIR/NAME.toml. Throws Error (usage); if there is no such file its hint has the
/// nearest name that there is.
[[nodiscard]] StandbyFile read_standby_file(const std::filesystem::path& config_directory,
                                            std::string_view name);

/// The names of the standbys that have a file there, sorted; runbooks are none.
[[nodiscard]] std::vector<std::string> standby_names(const std::filesystem::path& config_directory);

/// Whether a standby can be called so: letters, digits, "-", "_" and ".", 1 to 64 of them, the
/// first a letter or digit, and not ending in ".runbook". It becomes a part of paths.
[[nodiscard]] bool is_standby_name(std::string_view name);

} // namespace coldspare::standby
