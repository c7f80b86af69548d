#pragma once

#include "base/error.hpp"
#include "base/handle.hpp"

#include <cstdlib>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string>
#include <string_view>

/// What the files of this folder share: libvirt's functions, which are looked up when the first
/// connection is opened. The program is not linked with libvirt, so that it runs where there is
/// none. The one header that has a C library's types; nobody outside this folder includes it.
namespace coldspare::standby::libvirt {

/// libvirt.so.0's functions without their "vir".
struct Library {
    decltype(&::virInitialize) initialize = nullptr;
    decltype(&::virGetLastError) last_error = nullptr;
    decltype(&::virSetErrorFunc) set_error_function = nullptr;
    decltype(&::virEventRegisterDefaultImpl) register_events = nullptr;
    decltype(&::virEventRunDefaultImpl) run_events = nullptr;
    decltype(&::virEventAddTimeout) add_timeout = nullptr;
    decltype(&::virEventUpdateTimeout) update_timeout = nullptr;

    decltype(&::virConnectOpen) open = nullptr;
    decltype(&::virConnectClose) close = nullptr;
    decltype(&::virConnectGetURI) uri = nullptr;
    decltype(&::virConnectGetHostname) hostname = nullptr;
    decltype(&::virConnectGetLibVersion) library_version = nullptr;
    decltype(&::virConnectGetVersion) hypervisor_version = nullptr;
    decltype(&::virConnectGetDomainCapabilities) domain_capabilities = nullptr;
    decltype(&::virNodeGetInfo) node_info = nullptr;
    decltype(&::virNodeGetMemoryStats) memory_statistics = nullptr;

    decltype(&::virConnectListAllDomains) list_domains = nullptr;
    decltype(&::virDomainLookupByName) find_domain = nullptr;
    decltype(&::virDomainFree) free_domain = nullptr;
    decltype(&::virDomainGetName) domain_name = nullptr;
    decltype(&::virDomainGetUUIDString) domain_uuid = nullptr;
    decltype(&::virDomainGetState) domain_state = nullptr;
    decltype(&::virDomainIsPersistent) is_persistent = nullptr;
    decltype(&::virDomainIsActive) is_active = nullptr;
    decltype(&::virDomainGetAutostart) autostart = nullptr;
    decltype(&::virDomainSetAutostart) set_autostart = nullptr;
    decltype(&::virDomainGetXMLDesc) domain_xml = nullptr;
    decltype(&::virDomainDefineXML) define = nullptr;
    decltype(&::virDomainUndefineFlags) undefine = nullptr;
    decltype(&::virDomainCreateWithFlags) start = nullptr;
    decltype(&::virDomainCreateXML) start_transient = nullptr;
    decltype(&::virDomainShutdown) shut_down = nullptr;
    decltype(&::virDomainDestroy) destroy = nullptr;
    decltype(&::virDomainSetMetadata) set_metadata = nullptr;
    decltype(&::virDomainScreenshot) screenshot = nullptr;
    decltype(&::virStreamNew) new_stream = nullptr;
    decltype(&::virStreamRecv) receive = nullptr;
    decltype(&::virStreamFinish) finish = nullptr;
    decltype(&::virStreamAbort) abort = nullptr;
    decltype(&::virStreamFree) free_stream = nullptr;

    decltype(&::virConnectListAllNetworks) list_networks = nullptr;
    decltype(&::virNetworkLookupByName) find_network = nullptr;
    decltype(&::virNetworkFree) free_network = nullptr;
    decltype(&::virNetworkGetName) network_name = nullptr;
    decltype(&::virNetworkCreateXML) create_network = nullptr;
    decltype(&::virNetworkIsActive) is_network_active = nullptr;
    decltype(&::virNetworkIsPersistent) is_network_persistent = nullptr;
    decltype(&::virNetworkDestroy) destroy_network = nullptr;
    decltype(&::virNetworkUndefine) undefine_network = nullptr;
    decltype(&::virNetworkGetXMLDesc) network_xml = nullptr;

    /// libvirt-qemu.so.0's.
    decltype(&::virDomainQemuAgentCommand) agent_command = nullptr;
};

/// Loads it at the first call. Throws Error with a hint if it is not installed.
[[nodiscard]] const Library& library();

inline void free_connection(virConnectPtr connection) noexcept {
    library().close(connection);
}
inline void free_domain(virDomainPtr domain) noexcept {
    library().free_domain(domain);
}
inline void free_network(virNetworkPtr network) noexcept {
    library().free_network(network);
}
inline void free_stream(virStreamPtr stream) noexcept {
    library().free_stream(stream);
}
using Connection = Handle<virConnect, free_connection>;
using Domain = Handle<virDomain, free_domain>;
using Network = Handle<virNetwork, free_network>;
using Stream = Handle<virStream, free_stream>;
using Text = Handle<char, std::free>; ///< that libvirt has made

/// "`what` 'NAME'": how complaints begin.
[[nodiscard]] std::string about(std::string_view what, const std::string& name);

/// The number and the text of this thread's last error.
[[nodiscard]] int last_error_number();
[[nodiscard]] std::string last_error_text();

/// An Error "`what`: libvirt's own text" with what to do next, where that is known.
[[nodiscard]] Error libvirt_error(std::string_view what);

/// Opens a connection, after preparing what libvirt needs in this process. Throws Error.
[[nodiscard]] Connection open_connection(const std::string& uri);

} // namespace coldspare::standby::libvirt
