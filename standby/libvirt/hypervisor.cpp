#include "standby/hypervisor.hpp"

#include "base/text.hpp"
#include "standby/capabilities.hpp"
#include "standby/libvirt/embedded.hpp"
#include "standby/libvirt/library.hpp"
#include "standby/libvirt/networks.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>

namespace coldspare::standby {

namespace {

using namespace libvirt;

constexpr std::size_t largest_screenshot = std::size_t{64} << 20; ///< bytes

DomainState state_of(int state) {
    switch (state) {
    case VIR_DOMAIN_RUNNING:
    case VIR_DOMAIN_BLOCKED:
        return DomainState::running;
    case VIR_DOMAIN_PAUSED:
        return DomainState::paused;
    case VIR_DOMAIN_SHUTOFF:
        return DomainState::shut_off;
    case VIR_DOMAIN_CRASHED:
        return DomainState::crashed;
    default:
        return DomainState::other;
    }
}

/// "9.0.0" of libvirt's 9000000.
std::string version_text(unsigned long version) {
    return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

class LibvirtHypervisor : public Hypervisor {
public:
    explicit LibvirtHypervisor(Connection connection) : connection_(std::move(connection)) {}

    HypervisorInfo info() override;
    std::vector<DomainInfo> domains() override;
    std::optional<DomainInfo> find(const std::string& domain) override;
    std::string xml_of(const std::string& domain) override;
    void define(const std::string& xml) override;
    void undefine(const std::string& domain) override;
    void set_metadata(const std::string& domain, const std::string& element,
                      const std::string& name_space) override;
    void start(const std::string& domain) override;
    void start_transient(const std::string& xml) override;
    void shut_down(const std::string& domain) override;
    void destroy(const std::string& domain) override;
    std::optional<std::string> screenshot(const std::string& domain) override;
    std::string ask_agent(const std::string& domain, const std::string& command,
                          int seconds) override;
    std::vector<std::string> networks() override;
    void create_network(const std::string& xml) override;
    void remove_network(const std::string& network) override;
    std::string network_xml(const std::string& network) override;

private:
    /// Nothing if there is none of that name.
    [[nodiscard]] Domain look_up(const std::string& domain) const;
    /// Throws if there is none, saying what was to be done with it.
    [[nodiscard]] Domain need(std::string_view action, const std::string& domain) const;
    [[nodiscard]] DomainInfo describe(virDomainPtr domain) const;
    [[nodiscard]] DomainCapabilities capabilities(const char* type) const;
    struct Memory {
        std::uint64_t all = 0;
        std::uint64_t free = 0; ///< what programs could have: buffers and the page cache count
    };
    [[nodiscard]] Memory memory() const;

    Connection connection_;
};

Domain LibvirtHypervisor::look_up(const std::string& domain) const {
    Domain found(library().find_domain(connection_.get(), domain.c_str()));
    if (!found && last_error_number() != VIR_ERR_NO_DOMAIN) {
        throw libvirt_error(about("looking for the domain", domain));
    }
    return found;
}

Domain LibvirtHypervisor::need(std::string_view action, const std::string& domain) const {
    Domain found = look_up(domain);
    if (!found) {
        throw Error(fmt::format("{}: the hypervisor has no such domain", about(action, domain)),
                    "'coldspare standby list' shows the domains of standbys");
    }
    return found;
}

DomainInfo LibvirtHypervisor::describe(virDomainPtr domain) const {
    const Library& all = library();
    const char* name = all.domain_name(domain);
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    int state = 0;
    int reason = 0;
    const int persistent = all.is_persistent(domain);
    if (name == nullptr || all.domain_uuid(domain, uuid.data()) != 0 || persistent < 0 ||
        all.domain_state(domain, &state, &reason, 0) != 0) {
        throw libvirt_error(about("looking at the domain", name == nullptr ? "" : name));
    }
    int autostart = 0;
    if (persistent == 1 && all.autostart(domain, &autostart) != 0) {
        throw libvirt_error(about("looking at the domain", name));
    }
    return {.name = name,
            .uuid = uuid.data(),
            .state = state_of(state),
            .persistent = persistent == 1,
            .autostart = autostart == 1};
}

DomainCapabilities LibvirtHypervisor::capabilities(const char* type) const {
    const Text text(
        library().domain_capabilities(connection_.get(), nullptr, nullptr, nullptr, type, 0));
    if (!text) {
        throw libvirt_error("asking what the hypervisor can do");
    }
    return parse_domain_capabilities(text.get());
}

/// Of the whole machine: libvirt's own figure for its size leaves out memory that was added later.
LibvirtHypervisor::Memory LibvirtHypervisor::memory() const {
    int count = 0;
    virConnectPtr connection = connection_.get();
    constexpr int all_cells = VIR_NODE_MEMORY_STATS_ALL_CELLS;
    std::vector<virNodeMemoryStats> values;
    if (library().memory_statistics(connection, all_cells, nullptr, &count, 0) == 0) {
        values.resize(static_cast<std::size_t>(std::max(count, 0)));
    }
    if (values.empty() ||
        library().memory_statistics(connection, all_cells, values.data(), &count, 0) != 0) {
        throw libvirt_error("asking for the hypervisor's memory");
    }
    Memory memory;
    for (const virNodeMemoryStats& value : values) { // in KiB: total, free, buffers, cached
        (std::string_view(value.field) == VIR_NODE_MEMORY_STATS_TOTAL ? memory.all : memory.free) +=
            std::uint64_t{value.value} * 1024;
    }
    return memory;
}

HypervisorInfo LibvirtHypervisor::info() {
    const Library& all = library();
    const Text uri(all.uri(connection_.get()));
    const Text host(all.hostname(connection_.get()));
    unsigned long own = 0;
    unsigned long qemu = 0;
    virNodeInfo node{};
    if (!uri || !host || all.library_version(connection_.get(), &own) != 0 ||
        all.hypervisor_version(connection_.get(), &qemu) != 0 ||
        all.node_info(connection_.get(), &node) != 0) {
        throw libvirt_error("asking what the hypervisor is");
    }
    // Without a type it answers for the best that it has.
    const DomainCapabilities can = capabilities(nullptr);
    const Memory bytes = memory();
    const Firmware firmware = choose_firmware(can.loaders);
    return {.uri = uri.get(),
            .host = host.get(),
            .version = fmt::format("libvirt {}, QEMU {}", version_text(own), version_text(qemu)),
            .kvm = can.type == "kvm",
            .cpus = node.cpus,
            .memory = bytes.all,
            .free_memory = bytes.free,
            .firmware_code = firmware.code,
            .firmware_variables = firmware.variables};
}

std::vector<DomainInfo> LibvirtHypervisor::domains() {
    virDomainPtr* list = nullptr;
    const int count = library().list_domains(connection_.get(), &list, 0);
    if (count < 0) {
        throw libvirt_error("listing the domains");
    }
    const Handle<virDomainPtr, std::free> owner(list);
    std::vector<Domain> owned;
    for (int i = 0; i < count; ++i) {
        owned.emplace_back(list[i]);
    }
    std::vector<DomainInfo> found;
    for (const Domain& domain : owned) {
        found.push_back(describe(domain.get()));
    }
    std::ranges::sort(found, {}, &DomainInfo::name);
    return found;
}

std::optional<DomainInfo> LibvirtHypervisor::find(const std::string& domain) {
    const Domain found = look_up(domain);
    return found ? std::optional(describe(found.get())) : std::nullopt;
}

std::string LibvirtHypervisor::xml_of(const std::string& domain) {
    const Domain found = need("reading the definition of", domain);
    const Text text(library().domain_xml(found.get(), VIR_DOMAIN_XML_INACTIVE));
    if (!text) {
        throw libvirt_error(about("reading the definition of", domain));
    }
    return text.get();
}

void LibvirtHypervisor::define(const std::string& xml) {
    const Domain defined(library().define(connection_.get(), xml.c_str()));
    if (!defined || library().set_autostart(defined.get(), 0) != 0) {
        throw libvirt_error("defining the domain");
    }
}

void LibvirtHypervisor::undefine(const std::string& domain) {
    const Domain found = need("removing the definition of", domain);
    const int active = library().is_active(found.get());
    if (active == 1) {
        throw refusal(fmt::format("remove the domain '{}': it runs", printable(domain)),
                      "shut it down first");
    }
    constexpr unsigned flags = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
                               VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
    if (active < 0 || library().undefine(found.get(), flags) != 0) {
        throw libvirt_error(about("removing the definition of", domain));
    }
}

void LibvirtHypervisor::set_metadata(const std::string& domain, const std::string& element,
                                     const std::string& name_space) {
    const Domain found = need("marking", domain);
    const DomainInfo is = describe(found.get());
    unsigned flags = is.persistent ? unsigned{VIR_DOMAIN_AFFECT_CONFIG} : 0U;
    if (library().is_active(found.get()) == 1) {
        flags |= VIR_DOMAIN_AFFECT_LIVE;
    }
    if (library().set_metadata(found.get(), VIR_DOMAIN_METADATA_ELEMENT, element.c_str(),
                               "coldspare", name_space.c_str(), flags) != 0) {
        throw libvirt_error(about("marking", domain));
    }
}

void LibvirtHypervisor::start(const std::string& domain) {
    const Domain found = need("starting", domain);
    // A memory that was saved once belongs to disks that are others by now.
    if (library().start(found.get(), VIR_DOMAIN_START_FORCE_BOOT) != 0) {
        throw libvirt_error(about("starting", domain));
    }
}

void LibvirtHypervisor::start_transient(const std::string& xml) {
    const Domain started(library().start_transient(connection_.get(), xml.c_str(), 0));
    if (!started) {
        throw libvirt_error("starting a domain that is not kept");
    }
}

void LibvirtHypervisor::shut_down(const std::string& domain) {
    const Domain found = need("shutting down", domain);
    if (library().shut_down(found.get()) != 0) {
        throw libvirt_error(about("shutting down", domain));
    }
}

void LibvirtHypervisor::destroy(const std::string& domain) {
    const Domain found = need("switching off", domain);
    if (library().is_active(found.get()) == 0) {
        return;
    }
    if (library().destroy(found.get()) == 0) {
        return;
    }
    // It may have ended by itself meanwhile; or a driver that is just taking it over after a
    // restart has ended it because it was being switched off (measured with the embedded one).
    const Error failed = libvirt_error(about("switching off", domain));
    const std::optional<DomainInfo> now = find(domain);
    if (now && now->state != DomainState::shut_off && now->state != DomainState::crashed) {
        throw failed;
    }
}

/// All that comes through a stream.
std::string receive_all(virStreamPtr stream, std::string_view what) {
    std::string all;
    std::array<char, 65536> part{};
    while (true) {
        const int count = library().receive(stream, part.data(), part.size());
        if (count == 0) {
            break;
        }
        if (count < 0 || all.size() + part.size() > largest_screenshot) {
            const Error failed = count < 0 ? libvirt_error(what)
                                           : Error(fmt::format("{}: it has more than {}", what,
                                                               format_bytes(largest_screenshot)));
            library().abort(stream);
            throw failed;
        }
        all.append(part.data(), static_cast<std::size_t>(count));
    }
    if (library().finish(stream) != 0) {
        throw libvirt_error(what);
    }
    return all;
}

std::optional<std::string> LibvirtHypervisor::screenshot(const std::string& domain) {
    const std::string what = about("taking a picture of", domain);
    const Domain found = need("taking a picture of", domain);
    const Text definition(library().domain_xml(found.get(), 0));
    if (!definition) {
        throw libvirt_error(what);
    }
    // libvirt refuses both what has no display and what does not run, with the same number.
    if (std::string_view(definition.get()).find("<video>") == std::string_view::npos) {
        return std::nullopt;
    }
    const Stream stream(library().new_stream(connection_.get(), 0));
    const Text kind(stream ? library().screenshot(found.get(), stream.get(), 0, 0) : nullptr);
    if (!kind) {
        throw libvirt_error(what);
    }
    return receive_all(stream.get(), what);
}

std::string LibvirtHypervisor::ask_agent(const std::string& domain, const std::string& command,
                                         int seconds) {
    const Domain found = need("asking the guest agent of", domain);
    const Text answer(library().agent_command(found.get(), command.c_str(), seconds, 0));
    if (!answer) {
        throw libvirt_error(about("asking the guest agent of", domain));
    }
    return answer.get();
}

std::vector<std::string> LibvirtHypervisor::networks() {
    return active_networks(connection_.get());
}

void LibvirtHypervisor::create_network(const std::string& xml) {
    libvirt::create_network(connection_.get(), xml);
}

void LibvirtHypervisor::remove_network(const std::string& network) {
    libvirt::remove_network(connection_.get(), network);
}

std::string LibvirtHypervisor::network_xml(const std::string& network) {
    return libvirt::network_xml(connection_.get(), network);
}

} // namespace

std::unique_ptr<Hypervisor> connect_hypervisor(const std::string& uri,
                                               const std::filesystem::path& state_directory) {
    return std::make_unique<LibvirtHypervisor>(
        uri.empty() ? open_embedded(std::filesystem::absolute(state_directory) / "libvirt")
                    : open_connection(uri));
}

} // namespace coldspare::standby
