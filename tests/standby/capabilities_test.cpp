#include "standby/capabilities.hpp"

#include "standby/xml.hpp"
#include "tests/support/thrown.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace coldspare::standby {

TEST_CASE("capabilities tell the type, the architecture and the firmware") {
    const DomainCapabilities can = parse_domain_capabilities(R"(<domainCapabilities>
  <path>/usr/bin/qemu-system-x86_64</path>
  <domain>kvm</domain>
  <machine>pc-i440fx-7.2</machine>
  <arch>x86_64</arch>
  <os supported='yes'>
    <enum name='firmware'><value>efi</value></enum>
    <loader supported='yes'>
      <value>/usr/share/OVMF/OVMF_CODE_4M.fd</value>
      <value>/usr/share/OVMF/OVMF_CODE_4M.secboot.fd</value>
      <enum name='type'><value>rom</value></enum>
    </loader>
  </os>
</domainCapabilities>)");
    CHECK(can.type == "kvm");
    CHECK(can.architecture == "x86_64");
    CHECK(can.loaders == std::vector<std::string>{"/usr/share/OVMF/OVMF_CODE_4M.fd",
                                                  "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"});
}

TEST_CASE("what is not there in the capabilities is empty") {
    const DomainCapabilities can = parse_domain_capabilities("<domainCapabilities/>");
    CHECK(can.type.empty());
    CHECK(can.loaders.empty());
}

TEST_CASE("what is not capabilities is an Error") {
    CHECK(thrown_by([] { static_cast<void>(parse_domain_capabilities("<domain/>")); }).message() ==
          "the hypervisor's capabilities cannot be read: they are <domain>");
    CHECK_THROWS_AS(static_cast<void>(parse_domain_capabilities("<domainCapabilities>")), Error);
    CHECK_THROWS_AS(static_cast<void>(parse_domain_capabilities("")), Error);
    CHECK_THROWS_AS(static_cast<void>(parse_domain_capabilities(std::string(largest_xml + 1, ' '))),
                    Error);
}

TEST_CASE("the variables of a firmware lie beside it") {
    struct Row {
        const char* code;
        const char* variables;
    };
    for (const Row& row : std::vector<Row>{
             {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
             {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
             {"/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"},
             {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
             {"/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"},
             {"/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"},
         }) {
        CAPTURE(row.code);
        CHECK(choose_firmware(std::vector<std::string>{row.code}) ==
              Firmware{row.code, row.variables});
    }
}

TEST_CASE("a firmware with Secure Boot, in qcow2 or of an unknown form is not chosen") {
    const std::vector<std::string> loaders{
        "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd",
        "/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/qemu/bios.bin", "CODE.fd"};
    CHECK(choose_firmware(loaders) == Firmware{});
    CHECK(choose_firmware({}) == Firmware{});
    std::vector<std::string> more = loaders;
    more.emplace_back("/f/OVMF_CODE.fd");
    CHECK(choose_firmware(more).variables == "/f/OVMF_VARS.fd");
}

} // namespace coldspare::standby
