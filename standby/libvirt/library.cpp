#include "standby/libvirt/library.hpp"

#include "base/text.hpp"

#include <array>
#include <dlfcn.h>
#include <fmt/format.h>
#include <thread>

namespace coldspare::standby::libvirt {

namespace {

/// A shared object that stays loaded: libvirt has threads.
class SharedObject {
public:
    explicit SharedObject(const char* name)
        : name_(name), handle_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
        if (handle_ == nullptr) {
            const char* reason = ::dlerror();
            throw Error(fmt::format("loading '{}': {}", name, reason == nullptr ? "" : reason),
                        "install libvirt: libvirt-daemon and libvirt0 on Debian and Ubuntu, "
                        "libvirt-daemon-kvm and libvirt-libs on Fedora and RHEL");
        }
    }

    template <typename Function>
    void take(Function& function, const char* symbol) const {
        function = reinterpret_cast<Function>(::dlsym(handle_, symbol));
        if (function == nullptr) {
            throw Error(fmt::format("'{}' has no function '{}'", name_, symbol),
                        "coldspare needs libvirt 4.0 or later");
        }
    }

private:
    const char* name_;
    void* handle_;
};

void take_connection(const SharedObject& object, Library& all) {
    object.take(all.initialize, "virInitialize");
    object.take(all.last_error, "virGetLastError");
    object.take(all.set_error_function, "virSetErrorFunc");
    object.take(all.register_events, "virEventRegisterDefaultImpl");
    object.take(all.run_events, "virEventRunDefaultImpl");
    object.take(all.add_timeout, "virEventAddTimeout");
    object.take(all.update_timeout, "virEventUpdateTimeout");
    object.take(all.open, "virConnectOpen");
    object.take(all.close, "virConnectClose");
    object.take(all.uri, "virConnectGetURI");
    object.take(all.hostname, "virConnectGetHostname");
    object.take(all.library_version, "virConnectGetLibVersion");
    object.take(all.hypervisor_version, "virConnectGetVersion");
    object.take(all.domain_capabilities, "virConnectGetDomainCapabilities");
    object.take(all.node_info, "virNodeGetInfo");
    object.take(all.memory_statistics, "virNodeGetMemoryStats");
}

void take_domains(const SharedObject& object, Library& all) {
    object.take(all.list_domains, "virConnectListAllDomains");
    object.take(all.find_domain, "virDomainLookupByName");
    object.take(all.free_domain, "virDomainFree");
    object.take(all.domain_name, "virDomainGetName");
    object.take(all.domain_uuid, "virDomainGetUUIDString");
    object.take(all.domain_state, "virDomainGetState");
    object.take(all.is_persistent, "virDomainIsPersistent");
    object.take(all.is_active, "virDomainIsActive");
    object.take(all.autostart, "virDomainGetAutostart");
    object.take(all.set_autostart, "virDomainSetAutostart");
    object.take(all.domain_xml, "virDomainGetXMLDesc");
    object.take(all.define, "virDomainDefineXML");
    object.take(all.undefine, "virDomainUndefineFlags");
    object.take(all.start, "virDomainCreateWithFlags");
    object.take(all.start_transient, "virDomainCreateXML");
    object.take(all.shut_down, "virDomainShutdown");
    object.take(all.destroy, "virDomainDestroy");
    object.take(all.set_metadata, "virDomainSetMetadata");
    object.take(all.screenshot, "virDomainScreenshot");
    object.take(all.new_stream, "virStreamNew");
    object.take(all.receive, "virStreamRecv");
    object.take(all.finish, "virStreamFinish");
    object.take(all.abort, "virStreamAbort");
    object.take(all.free_stream, "virStreamFree");
}

void take_networks(const SharedObject& object, Library& all) {
    object.take(all.list_networks, "virConnectListAllNetworks");
    object.take(all.find_network, "virNetworkLookupByName");
    object.take(all.free_network, "virNetworkFree");
    object.take(all.network_name, "virNetworkGetName");
    object.take(all.create_network, "virNetworkCreateXML");
    object.take(all.is_network_active, "virNetworkIsActive");
    object.take(all.is_network_persistent, "virNetworkIsPersistent");
    object.take(all.destroy_network, "virNetworkDestroy");
    object.take(all.undefine_network, "virNetworkUndefine");
    object.take(all.network_xml, "virNetworkGetXMLDesc");
}

Library load() {
    Library all;
    const SharedObject object("libvirt.so.0");
    take_connection(object, all);
    take_domains(object, all);
    take_networks(object, all);
    const SharedObject qemu("libvirt-qemu.so.0");
    qemu.take(all.agent_command, "virDomainQemuAgentCommand");
    return all;
}

/// The thread that answers QEMU and remote daemons for as long as the program runs.
class EventLoop {
public:
    EventLoop() {
        const Library& all = library();
        // libvirt writes every error to standard error unless somebody else takes it.
        all.set_error_function(nullptr, [](void*, virErrorPtr) {});
        if (all.initialize() != 0 || all.register_events() != 0) {
            throw libvirt_error("starting libvirt's client");
        }
        // Never fires by itself; the end of the program calls it, so that the loop turns once more.
        timer_ = all.add_timeout(
            -1, [](int, void*) {}, nullptr, nullptr);
        if (timer_ < 0) {
            throw libvirt_error("starting libvirt's events");
        }
        thread_ = std::jthread([&all](const std::stop_token& stop) {
            while (!stop.stop_requested() && all.run_events() == 0) {
            }
        });
    }
    ~EventLoop() {
        thread_.request_stop();
        library().update_timeout(timer_, 0);
    }
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

private:
    int timer_ = -1;
    std::jthread thread_;
};

struct Advice {
    std::string_view part; ///< of libvirt's text
    std::string_view hint;
};

/// What to do about what libvirt says most often. Its numbers are too coarse for that.
constexpr std::array<Advice, 8> advice{{
    {"virtlogd-sock", "start virtlogd, or set stdio_handler = \"file\" in libvirt's qemu.conf"},
    {"libvirt-sock", "start libvirtd ('systemctl start libvirtd'), or leave 'uri' out of the "
                     "standby's file: then no daemon is needed"},
    {"virtqemud-sock", "start virtqemud ('systemctl start virtqemud'), or leave 'uri' out of the "
                       "standby's file: then no daemon is needed"},
    {"no connection driver", "install libvirt's driver for QEMU: libvirt-daemon-driver-qemu"},
    {"emulator", "install QEMU: qemu-system-x86"},
    {"too long", "libvirt makes sockets below the state directory: choose a shorter --state-dir, "
                 "of at most 20 characters"},
    {"guest agent is not connected", "its system has not started its qemu-guest-agent (yet)"},
    {"Hook script execution failed", "a hook in /etc/libvirt/hooks has refused it"},
}};

} // namespace

const Library& library() {
    static const Library all = load();
    return all;
}

std::string about(std::string_view what, const std::string& name) {
    return fmt::format("{} '{}'", what, printable(name));
}

int last_error_number() {
    const virErrorPtr error = library().last_error();
    return error == nullptr ? VIR_ERR_OK : error->code;
}

std::string last_error_text() {
    const virErrorPtr error = library().last_error();
    if (error == nullptr || error->message == nullptr) {
        return "libvirt gives no reason";
    }
    // A hook's message ends with a line break.
    return printable(trim(error->message));
}

Error libvirt_error(std::string_view what) {
    const std::string text = last_error_text();
    std::string hint;
    for (const Advice& each : advice) {
        if (hint.empty() && text.find(each.part) != std::string::npos) {
            hint = each.hint;
        }
    }
    return Error(fmt::format("{}: {}", what, text), hint);
}

Connection open_connection(const std::string& uri) {
    static const EventLoop loop;
    Connection connection(library().open(uri.c_str()));
    if (!connection) {
        throw libvirt_error(fmt::format("connecting to the hypervisor '{}'", printable(uri)));
    }
    return connection;
}

} // namespace coldspare::standby::libvirt
