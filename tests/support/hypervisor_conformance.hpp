#pragma once

#include "base/error.hpp"
#include "standby/hypervisor.hpp"

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace coldspare::standby {

/// A machine that needs no disk and little memory: its firmware looks for something to boot, and
/// goes on looking.
inline std::string tiny_domain(const std::string& name, const std::string& uuid,
                               const std::string& more = {}) {
    return "<domain type='qemu'><name>" + name + "</name><uuid>" + uuid +
           "</uuid><metadata><mark:it xmlns:mark='https://coldspare.invalid/conformance'>cold"
           "</mark:it></metadata><memory unit='MiB'>64</memory><vcpu>1</vcpu>"
           "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>" +
           more + "<memballoon model='none'/></devices></domain>";
}

/// What every Hypervisor promises of its domains. `tag` makes the names of this run's own, which
/// must not be there yet; all that is made is removed. `expect` is told each claim and whether it
/// holds: doctest in one program, lines of text in the other.
inline void check_hypervisor_conformance(Hypervisor& hypervisor, const std::string& tag,
                                         const std::function<void(bool, const char*)>& expect) {
    const auto throws = [](const std::function<void()>& act) {
        try {
            act();
        } catch (const Error& error) {
            return !error.message().empty();
        }
        return false;
    };
    const auto names = [&] {
        std::vector<std::string> all;
        for (const DomainInfo& each : hypervisor.domains()) {
            all.push_back(each.name);
        }
        return all;
    };
    const auto has = [](std::string_view text, std::string_view part) {
        return text.find(part) != std::string_view::npos;
    };
    const std::string one = "b-" + tag;
    const std::string other = "a-" + tag;
    const std::string uuid = "6c0a7e53-2f0d-4c63-8d9a-5a3a6f1c9e01";
    const std::string other_uuid = "6c0a7e53-2f0d-4c63-8d9a-5a3a6f1c9e02";
    const std::string display = "<graphics type='vnc' socket='/nowhere'/>"
                                "<video><model type='vga'/></video>";

    const HypervisorInfo info = hypervisor.info();
    expect(!info.uri.empty() && !info.host.empty(), "it says what and where it is");
    expect(has(info.version, "libvirt") && has(info.version, "QEMU"), "and its versions");
    expect(info.cpus > 0 && info.memory > 0, "it has processors and memory");
    expect(info.free_memory <= info.memory, "of which not more is free than there is");
    expect(info.firmware_code.empty() == info.firmware_variables.empty(),
           "a firmware has a template of variables");

    expect(!hypervisor.find(one), "a domain that is not there is not found");
    expect(throws([&] { static_cast<void>(hypervisor.xml_of(one)); }), "it has no definition");
    expect(throws([&] { hypervisor.start(one); }), "it cannot be started");
    expect(throws([&] { hypervisor.undefine(one); }), "or removed");
    expect(throws([&] { hypervisor.destroy(one); }), "or switched off");
    expect(throws([&] { hypervisor.define("no XML"); }), "what is no XML defines nothing");

    hypervisor.define(tiny_domain(one, uuid));
    hypervisor.define(tiny_domain(other, other_uuid));
    const std::optional<DomainInfo> defined = hypervisor.find(one);
    expect(defined && defined->name == one && defined->uuid == uuid, "a defined one is found");
    expect(defined && defined->state == DomainState::shut_off, "it is off");
    expect(defined && defined->persistent && !defined->autostart, "and stays so");
    const std::vector<std::string> all = names();
    expect(std::ranges::is_sorted(all), "domains come by name");
    expect(std::ranges::count(all, one) == 1 && std::ranges::count(all, other) == 1,
           "all of them come");
    expect(has(hypervisor.xml_of(one), uuid), "the definition has what was said");
    expect(throws([&] { hypervisor.define(tiny_domain(one, other_uuid)); }),
           "a name belongs to one domain");
    hypervisor.define(tiny_domain(one, uuid, display));
    expect(std::ranges::count(names(), one) == 1 && has(hypervisor.xml_of(one), "<video>"),
           "defining it again changes it in place");
    hypervisor.define(tiny_domain(one, uuid));

    const std::string name_space = "https://coldspare.invalid/conformance";
    hypervisor.set_metadata(one, "<it>active</it>", name_space);
    expect(has(hypervisor.xml_of(one), ">active<") && !has(hypervisor.xml_of(one), ">cold<"),
           "its mark can be changed");
    expect(has(hypervisor.xml_of(one), name_space), "and keeps its name space");

    hypervisor.destroy(one);
    expect(hypervisor.find(one)->state == DomainState::shut_off,
           "switching off what is off changes nothing");
    expect(throws([&] { static_cast<void>(hypervisor.ask_agent(one, "{}", 1)); }),
           "no agent answers in what is off");
    hypervisor.start(one);
    expect(hypervisor.find(one)->state == DomainState::running, "a started one runs");
    expect(throws([&] { hypervisor.start(one); }), "it is not started twice");
    expect(throws([&] { hypervisor.undefine(one); }), "nor removed while it runs");
    expect(hypervisor.find(one)->persistent, "and nothing came of trying");
    expect(!hypervisor.screenshot(one), "what has no display has no picture");
    expect(throws([&] {
               static_cast<void>(hypervisor.ask_agent(one, R"({"execute":"guest-ping"})", 1));
           }),
           "no agent is an Error");
    hypervisor.shut_down(one);
    hypervisor.destroy(one);
    expect(hypervisor.find(one)->state == DomainState::shut_off, "switched off, it is off");
    expect(throws([&] { hypervisor.shut_down(one); }), "and cannot be asked to shut down");

    hypervisor.undefine(one);
    hypervisor.undefine(other);
    expect(!hypervisor.find(one) && !hypervisor.find(other), "a removed one is gone");

    hypervisor.start_transient(tiny_domain(one, uuid, "<video><model type='vga'/></video>"));
    const std::optional<DomainInfo> passing = hypervisor.find(one);
    expect(passing && passing->state == DomainState::running && !passing->persistent,
           "one that is not kept runs");
    const std::optional<std::string> picture = hypervisor.screenshot(one);
    expect(picture && (picture->starts_with("P6") || picture->starts_with("\x89PNG")),
           "what has a display has a picture");
    expect(throws([&] { hypervisor.start_transient(tiny_domain(one, uuid)); }),
           "it is not started twice either");
    hypervisor.destroy(one);
    expect(!hypervisor.find(one), "and is gone when it ends");
}

/// What a Hypervisor with networks promises of them.
inline void check_network_conformance(Hypervisor& hypervisor, const std::string& tag,
                                      const std::function<void(bool, const char*)>& expect) {
    const auto throws = [](const std::function<void()>& act) {
        try {
            act();
        } catch (const Error& error) {
            return !error.message().empty();
        }
        return false;
    };
    const auto has = [&](const std::string& network) {
        const std::vector<std::string> all = hypervisor.networks();
        return std::ranges::count(all, network) == 1;
    };
    const std::string network = "net-" + tag;
    const std::string xml = "<network><name>" + network + "</name></network>";
    expect(!has(network), "a network that is not there is not listed");
    expect(throws([&] { static_cast<void>(hypervisor.network_xml(network)); }), "it has no XML");
    hypervisor.remove_network(network);
    hypervisor.create_network(xml);
    expect(has(network), "a made one is listed");
    expect(hypervisor.network_xml(network).find("<forward") == std::string::npos,
           "it is isolated if nobody says otherwise");
    expect(throws([&] { hypervisor.create_network(xml); }), "it is not made twice");
    hypervisor.remove_network(network);
    expect(!has(network), "a removed one is gone");
}

} // namespace coldspare::standby
