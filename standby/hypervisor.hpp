#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// The place where virtual machines run. LibvirtHypervisor (standby/libvirt/) is the real one;
/// tests/support has one in memory; both pass tests/support/hypervisor_conformance.hpp.
namespace coldspare::standby {

enum class DomainState { running, paused, shut_off, crashed, other };

[[nodiscard]] std::string_view word(DomainState state);

struct DomainInfo {
    std::string name;
    std::string uuid;
    DomainState state = DomainState::other;
    bool persistent = false;
    bool autostart = false;
};

/// What the machine can offer, for the decision whether a standby would run there.
struct HypervisorInfo {
    std::string uri;
    std::string host;
    std::string version; ///< of libvirt and of QEMU: "libvirt 9.0.0, QEMU 7.2.22"
    bool kvm = false;    ///< libvirt offers domains of type 'kvm' there
    unsigned cpus = 0;
    std::uint64_t memory = 0;      ///< bytes
    std::uint64_t free_memory = 0; ///< bytes
    std::string firmware_code;     ///< of UEFI, or empty if it has none
    std::string firmware_variables;
};

/// Every call blocks, and throws Error that names the domain and libvirt's reason. A domain that is
/// not there is an answer where the return type can say so, and an Error elsewhere. A value of this
/// class belongs to one thread.
class Hypervisor {
public:
    virtual ~Hypervisor() = default;

    [[nodiscard]] virtual HypervisorInfo info() = 0;
    [[nodiscard]] virtual std::vector<DomainInfo> domains() = 0; ///< by name
    [[nodiscard]] virtual std::optional<DomainInfo> find(const std::string& domain) = 0;
    /// As it is defined (not as it runs).
    [[nodiscard]] virtual std::string xml_of(const std::string& domain) = 0;
    /// Defines it, or changes the definition of the one with this UUID. Throws if another has its
    /// name. Autostart is off afterwards.
    virtual void define(const std::string& xml) = 0;
    /// Of one that does not run; its disks and the firmware's variables stay.
    virtual void undefine(const std::string& domain) = 0;
    /// Replaces the element of `name_space` in the definition's metadata, and where it runs also
    /// there: how a standby becomes active, and cold again. The guard (standby/guard) lets nothing
    /// start that is marked as cold.
    virtual void set_metadata(const std::string& domain, const std::string& element,
                              const std::string& name_space) = 0;
    /// Starts one that is defined, from its disks: a saved memory is thrown away.
    virtual void start(const std::string& domain) = 0;
    /// Starts one that is gone when it ends.
    virtual void start_transient(const std::string& xml) = 0;
    /// Asks its system to shut down; does not wait.
    virtual void shut_down(const std::string& domain) = 0;
    /// Takes its power away. One that does not run stays as it is.
    virtual void destroy(const std::string& domain) = 0;
    /// A picture of its display as a PPM or PNG, or nothing if it has none.
    [[nodiscard]] virtual std::optional<std::string> screenshot(const std::string& domain) = 0;
    /// What the guest agent answers to a command in JSON. Throws if it is silent for `seconds`.
    [[nodiscard]] virtual std::string ask_agent(const std::string& domain,
                                                const std::string& command, int seconds) = 0;

    /// Those that are active, by name.
    [[nodiscard]] virtual std::vector<std::string> networks() = 0;
    /// Makes and starts a network that is gone when the machine restarts.
    virtual void create_network(const std::string& xml) = 0;
    /// One that is not there is as good as removed.
    virtual void remove_network(const std::string& network) = 0;
    [[nodiscard]] virtual std::string network_xml(const std::string& network) = 0;
};

/// Connects. An empty `uri` means the embedded driver below `state_directory`
/// (qemu:///embed?root=STATE/libvirt). Throws Error; its hint says how to get libvirt, or how to
/// start it.
///
/// The embedded driver (standby/libvirt/embedded.hpp): what it runs goes on when the program ends,
/// and the next one takes it over. Only one process at a time can connect; another one waits for
/// twenty seconds and gets an Error (`locked`). A process that has connected has it until it ends,
/// and can have no other state directory.
[[nodiscard]] std::unique_ptr<Hypervisor>
connect_hypervisor(const std::string& uri, const std::filesystem::path& state_directory);

} // namespace coldspare::standby
