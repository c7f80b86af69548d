#include "fixup/udev_rewrite.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

namespace {

const std::vector<NicBinding> one{{"eth0", "00:0c:29:59:d3:36"}};
const std::vector<NicBinding> two{{"eth0", "52:54:00:00:00:00"}, {"eth1", "52:54:00:00:00:01"}};
constexpr const char* title = "# network card of the virtual machine (coldspare fixup)";

std::string rule(const std::string& mac, const std::string& name) {
    return R"(SUBSYSTEM=="net", DRIVERS=="?*", ATTRS{address}==")" + mac + R"(", NAME=")" + name +
           "\"";
}

/// The rewrite, after checking that a second one changes nothing.
RulesRewrite rewritten(const std::string& content, std::span<const NicBinding> nics) {
    RulesRewrite once = rewrite_rules(content, nics, {});
    const RulesRewrite twice = rewrite_rules(once.content, nics, {});
    CHECK(twice.content == once.content);
    CHECK(twice.pinned == once.pinned);
    return once;
}

} // namespace

TEST_CASE("the how-to of 2009 is followed to the letter") {
    const std::string before = "SUBSYSTEM==\"net\", DRIVERS==\"?*\", "
                               "ATTRS(address)==\"00:0c:29:8d:71:3f\", NAME=\"eth0\"\n";
    const std::string after = "#SUBSYSTEM==\"net\", DRIVERS==\"?*\", "
                              "ATTRS(address)==\"00:0c:29:8d:71:3f\", NAME=\"eth0\"\n"
                              "\n" +
                              std::string(title) +
                              "\n"
                              "SUBSYSTEM==\"net\", DRIVERS==\"?*\", "
                              "ATTRS{address}==\"00:0c:29:59:d3:36\", NAME=\"eth0\"\n";
    CHECK(rewritten(before, one).content == after);
}

TEST_CASE("a copy that was once booted has an eth1 for the new card, which goes") {
    const std::string before = rule("00:0c:29:8d:71:3f", "eth0") + "\n\n# PCI device (pcnet32)\n" +
                               rule("00:0c:29:59:d3:36", "eth1") + "\n";
    CHECK(rewritten(before, one).content == "#" + rule("00:0c:29:8d:71:3f", "eth0") + "\n\n" +
                                                title + "\n" + rule("00:0c:29:59:d3:36", "eth0") +
                                                "\n\n# PCI device (pcnet32)\n#" +
                                                rule("00:0c:29:59:d3:36", "eth1") + "\n");
}

TEST_CASE("the server's own address is not enough where a rule asks for its slot or driver") {
    const std::string head = "SUBSYSTEM==\"net\", ATTR{address}==\"00:0c:29:59:d3:36\", ";
    const std::string good = head + "NAME=\"eth0\"\n";
    for (const char* tie : {"KERNELS==\"0000:00:19.0\", ", "DRIVERS==\"e1000e\", ",
                            "KERNEL==\"enp3s0\", ", "ATTR{dev_id}!=\"0x0\", "}) {
        CAPTURE(tie);
        const std::string before = head + tie + "NAME=\"eth0\"\n";
        const RulesRewrite result = rewritten(before, one);
        CHECK(result.content == "#" + before + "\n" + title + "\n" + good);
        CHECK(result.pinned.contains("eth0"));
    }
    const std::string eth = head + "KERNEL==\"eth*\", NAME=\"eth0\"\n";
    CHECK(rewritten(eth, one).content == eth);
}

TEST_CASE("a right address in parentheses is written again with braces") {
    const std::string before = "SUBSYSTEM==\"net\", DRIVERS==\"?*\", "
                               "ATTRS(address)==\"00:0c:29:59:d3:36\", NAME=\"eth0\"\n";
    CHECK(rewritten(before, one).content ==
          "#" + before + "\n" + title + "\n" + rule("00:0c:29:59:d3:36", "eth0") + "\n");
    const RulesRewrite other = rewritten(
        "SUBSYSTEM==\"net\", ATTRS(address)==\"00:00:00:00:00:0a\", NAME=\"eth7\"\n", one);
    REQUIRE(other.notes.size() == 1);
    CHECK(other.notes[0] == "line 1: udev reads ATTRS{address} with braces only");
}

TEST_CASE("what the how-to leaves behind is right already") {
    const std::string after = "#" + rule("00:0c:29:8d:71:3f", "eth0") + "\n\n# PCI device\n" +
                              rule("00:0c:29:59:d3:36", "eth0") + "\n";
    const RulesRewrite result = rewritten(after, one);
    CHECK(result.content == after);
    CHECK(result.pinned == std::set<std::string>{"eth0"});
}

TEST_CASE("KERNEL and other ties to one piece of hardware are not copied") {
    const std::string before =
        "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
        "ATTR{address}==\"00:1e:67:aa:bb:cc\", "
        "ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", KERNELS==\"0000:00:19.0\", KERNEL==\"eth*\", "
        "NAME=\"eth0\"\n";
    CHECK(rewritten(before, one).content ==
          "#" + before + "\n" + title +
              "\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
              "ATTR{address}==\"00:0c:29:59:d3:36\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", "
              "NAME=\"eth0\"\n");
}

TEST_CASE("a rule for one slot or one driver becomes a rule for the address") {
    for (const char* before :
         {"SUBSYSTEM==\"net\", KERNELS==\"0000:00:19.0\", NAME=\"eth0\"\n",
          "SUBSYSTEM==\"net\", DRIVERS==\"e1000e\", NAME=\"eth0\"\n",
          "SUBSYSTEM==\"net\", ATTR{address}!=\"00:1e:67:aa:bb:cc\", NAME=\"eth0\"\n"}) {
        CAPTURE(before);
        CHECK(rewritten(before, one).content ==
              "#" + std::string(before) + "\n" + title +
                  "\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
                  "ATTR{address}==\"00:0c:29:59:d3:36\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", "
                  "NAME=\"eth0\"\n");
    }
}

TEST_CASE("carriage returns stay, and new lines get them too") {
    const std::string before = "# head\r\n" + rule("00:0c:29:8d:71:3f", "eth0") + "\r\n# tail\r\n";
    CHECK(rewritten(before, one).content ==
          "# head\r\n#" + rule("00:0c:29:8d:71:3f", "eth0") + "\r\n\r\n" + title + "\r\n" +
              rule("00:0c:29:59:d3:36", "eth0") + "\r\n# tail\r\n");
}

TEST_CASE("a last line without its newline gets one only if something follows") {
    CHECK(rewritten(rule("00:0c:29:8d:71:3f", "eth0"), one).content ==
          "#" + rule("00:0c:29:8d:71:3f", "eth0") + "\n\n" + title + "\n" +
              rule("00:0c:29:59:d3:36", "eth0") + "\n");
    const std::string right = rule("00:0c:29:59:d3:36", "eth0") + "\n";
    CHECK(rewritten(right + rule("00:0c:29:8d:71:3f", "eth0"), one).content ==
          right + "#" + rule("00:0c:29:8d:71:3f", "eth0"));
    CHECK(rewritten("# only a comment", one).content == "# only a comment");
}

TEST_CASE("two cards can swap their names") {
    const std::vector<NicBinding> swapped{{"eth0", "00:00:00:00:00:0b"},
                                          {"eth1", "00:00:00:00:00:0a"}};
    const std::string before =
        rule("00:00:00:00:00:0a", "eth0") + "\n" + rule("00:00:00:00:00:0b", "eth1") + "\n";
    const RulesRewrite result = rewritten(before, swapped);
    CHECK(result.content == "#" + rule("00:00:00:00:00:0a", "eth0") + "\n\n" + title + "\n" +
                                rule("00:00:00:00:00:0b", "eth0") + "\n#" +
                                rule("00:00:00:00:00:0b", "eth1") + "\n\n" + title + "\n" +
                                rule("00:00:00:00:00:0a", "eth1") + "\n");
    CHECK(result.pinned.size() == 2);
}

TEST_CASE("eth10 is not eth1") {
    const std::vector<NicBinding> nics{{"eth1", "52:54:00:00:00:01"}};
    const std::string ten = rule("00:00:00:00:00:10", "eth10") + "\n";
    const std::string result =
        rewritten(ten + rule("00:00:00:00:00:01", "eth1") + "\n", nics).content;
    CHECK(result.starts_with(ten));
    CHECK(result.find("#" + rule("00:00:00:00:00:01", "eth1")) != std::string::npos);
}

TEST_CASE("a name that stands twice is given once") {
    const std::string before =
        rule("00:00:00:00:00:0a", "eth0") + "\n" + rule("00:00:00:00:00:0b", "eth0") + "\n";
    CHECK(rewritten(before, one).content == "#" + rule("00:00:00:00:00:0a", "eth0") + "\n\n" +
                                                title + "\n" + rule("00:0c:29:59:d3:36", "eth0") +
                                                "\n#" + rule("00:00:00:00:00:0b", "eth0") + "\n");
}

TEST_CASE("a right rule later in the file is enough") {
    const std::string right = rule("00:0c:29:59:d3:36", "eth0") + "\n";
    CHECK(rewritten(rule("00:00:00:00:00:0a", "eth0") + "\n" + right, one).content ==
          "#" + rule("00:00:00:00:00:0a", "eth0") + "\n" + right);
}

TEST_CASE("a rule that stands in another file is enough") {
    const RulesRewrite result =
        rewrite_rules(rule("00:00:00:00:00:0a", "eth0") + "\n", one, {"eth0"});
    CHECK(result.content == "#" + rule("00:00:00:00:00:0a", "eth0") + "\n");
}

TEST_CASE("comments stay, whatever they say") {
    for (const char* comment :
         {"#SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", NAME=\"eth0\"\n",
          "  # NAME=\"eth0\"\n", "# ends in a backslash \\\n"}) {
        CAPTURE(comment);
        CHECK(rewritten(comment, one).content == comment);
    }
}

TEST_CASE("a rule over several lines is commented out on each of them") {
    const std::string before = "SUBSYSTEM==\"net\", \\\n  # the old card\n  "
                               "ATTR{address}==\"00:00:00:00:00:0a\", \\\n  NAME=\"eth0\"\n"
                               "LABEL=\"x\"\n";
    CHECK(rewritten(before, one).content ==
          "#SUBSYSTEM==\"net\", \\\n  # the old card\n#  "
          "ATTR{address}==\"00:00:00:00:00:0a\", \\\n#  NAME=\"eth0\"\n\n" +
              std::string(title) +
              "\nSUBSYSTEM==\"net\",   ATTR{address}==\"00:0c:29:59:d3:36\",   NAME=\"eth0\"\n"
              "LABEL=\"x\"\n");
}

TEST_CASE("rules for other things stay") {
    for (const char* other :
         {"SUBSYSTEM==\"block\", KERNEL==\"sd*\", NAME=\"eth0\"\n", // not a network card
          "SUBSYSTEM==\"net\", NAME==\"eth0\", RUN+=\"/bin/true\"\n",
          "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", NAME=\"wlan0\"\n",
          "SUBSYSTEM==\"net\", NAME=\"$env{ID_NET_NAME}\"\n", "GOTO=\"end\"\n", "", "\n\n"}) {
        CAPTURE(other);
        CHECK(rewritten(other, one).content == other);
    }
}

TEST_CASE("SYSFS{address} of old SUSE and an i386 etch is understood") {
    const std::string before =
        "SUBSYSTEM==\"net\", SYSFS{address}==\"00:00:00:00:00:0a\", NAME=\"eth0\"\n";
    CHECK(rewritten(before, one)
              .content.ends_with(
                  "SUBSYSTEM==\"net\", SYSFS{address}==\"00:0c:29:59:d3:36\", NAME=\"eth0\"\n"));
}

TEST_CASE("an address in upper case is a dead rule: reported, and replaced if it has our name") {
    const RulesRewrite other = rewritten(rule("00:0C:29:8D:71:3F", "eth7") + "\n", one);
    CHECK(other.content == rule("00:0C:29:8D:71:3F", "eth7") + "\n");
    REQUIRE(other.notes.size() == 1);
    CHECK(other.notes[0] == "line 1: an address in upper case never matches, left as it is");
    const RulesRewrite ours = rewritten(rule("00:0C:29:59:D3:36", "eth0") + "\n", one);
    CHECK(ours.content.starts_with("#" + rule("00:0C:29:59:D3:36", "eth0")));
    CHECK(ours.content.ends_with(rule("00:0c:29:59:d3:36", "eth0") + "\n"));
}

TEST_CASE("an unreadable line is left and reported") {
    const RulesRewrite result = rewritten("NAME=eth0\n", one);
    CHECK(result.content == "NAME=eth0\n");
    REQUIRE(result.notes.size() == 1);
    CHECK(result.notes[0] == "line 1: udev cannot read this, left as it is");
}

TEST_CASE("of a rule with two names or two addresses a plain one is made") {
    const std::string before = "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", "
                               "ATTR{address}==\"00:00:00:00:00:0b\", NAME=\"eth0\"\n";
    CHECK(rewritten(before, one).pinned.contains("eth0"));
    CHECK(
        rewritten("SUBSYSTEM==\"net\", NAME=\"x\", NAME=\"eth0\"\n", one).pinned.contains("eth0"));
}

TEST_CASE("several cards are looked after at once") {
    const std::string before = "# a\n" + rule("00:00:00:00:00:0a", "eth0") + "\n# b\n" +
                               rule("00:00:00:00:00:0b", "eth1") + "\n# c\n" +
                               rule("00:00:00:00:00:0c", "eth2") + "\n";
    const RulesRewrite result = rewritten(before, two);
    CHECK(result.pinned == std::set<std::string>{"eth0", "eth1"});
    CHECK(result.content.ends_with("# c\n" + rule("00:00:00:00:00:0c", "eth2") + "\n"));
}

TEST_CASE("an appended rule follows the file's own line ends and dialect") {
    CHECK(append_rule("", one[0], RuleDialect::attr) ==
          std::string(title) +
              "\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
              "ATTR{address}==\"00:0c:29:59:d3:36\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", "
              "NAME=\"eth0\"\n");
    CHECK(append_rule("# x\r\n# y", one[0], RuleDialect::attrs) ==
          "# x\r\n# y\r\n\r\n" + std::string(title) + "\r\n" + rule("00:0c:29:59:d3:36", "eth0") +
              "\r\n");
    CHECK(dialect_of(rule("00:00:00:00:00:0a", "eth5") + "\n") == RuleDialect::attrs);
    CHECK(dialect_of("# nothing\n") == RuleDialect::attr);
}

TEST_CASE("malformed rules never do harm") {
    const std::string good = rule("00:00:00:00:00:0a", "eth0");
    for (std::size_t cut = 0; cut <= good.size(); ++cut) {
        CAPTURE(cut);
        static_cast<void>(rewritten(good.substr(0, cut), one));
        static_cast<void>(rewritten(good.substr(cut), one));
        std::string broken = good;
        broken.insert(cut, "\\\n");
        static_cast<void>(rewritten(broken, one));
        broken = good;
        broken.insert(cut, std::string(1, '\0') + "\"");
        static_cast<void>(rewritten(broken, one));
    }
}

TEST_CASE("of SLES 9 and 10 the name stands inside IMPORT") {
    const std::string head = "SUBSYSTEM==\"net\", ACTION==\"add\", SYSFS{address}==\"";
    const std::string tail = "\", IMPORT=\"/lib/udev/rename_netiface %k eth0\"\n";
    const std::string before = head + "00:16:3e:11:22:33" + tail;
    const RulesRewrite result = rewritten(before, one);
    CHECK(result.content == "#" + before + "\n" + title + "\n" + head + "00:0c:29:59:d3:36" + tail);
    CHECK(result.pinned == std::set<std::string>{"eth0"});
    CHECK(dialect_of(before) == RuleDialect::import);
    const std::string grown = append_rule(before, two[1], RuleDialect::import);
    CHECK(grown.ends_with("SYSFS{address}==\"52:54:00:00:00:01\", "
                          "IMPORT=\"/lib/udev/rename_netiface %k eth1\"\n"));
    CHECK(pinned_names(grown, two) == std::set<std::string>{"eth1"});
    const std::string other = head + "00:16:3e:11:22:33\", IMPORT=\"/lib/udev/x %k eth0\"\n";
    CHECK(rewritten(other, one).content == other);
}

TEST_CASE("a slot rule of SLES 11 becomes a rule for the address") {
    const std::string before = "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
                               "KERNELS==\"0000:02:00.0\", ATTR{type}==\"1\", KERNEL==\"eth*\", "
                               "NAME=\"eth0\"\n";
    const RulesRewrite result = rewritten(before, one);
    CHECK(result.content.starts_with("#" + before));
    CHECK(result.content.ends_with("ATTR{address}==\"00:0c:29:59:d3:36\", "
                                   "ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", NAME=\"eth0\"\n"));
}

TEST_CASE("a rule that knows no address follows the dialect of its file") {
    const std::string etch = rule("00:00:00:00:00:0b", "eth5") + "\n";
    const std::string slot = "SUBSYSTEM==\"net\", KERNELS==\"0000:02:00.0\", NAME=\"eth0\"\n";
    CHECK(rewritten(etch + slot, one).content ==
          etch + "#" + slot + "\n" + title + "\n" + rule("00:0c:29:59:d3:36", "eth0") + "\n");
    CHECK(dialect_of("SUBSYSTEM==\"net\", SYSFS{address}==\"x\", NAME=\"eth0\"\n") ==
          RuleDialect::sysfs);
}

TEST_CASE("i\"...\" matches in any case, and e\"...\" is read where it has no escapes") {
    const std::string any =
        "SUBSYSTEM==\"net\", ATTR{address}==i\"00:0C:29:59:D3:36\", NAME=\"eth0\"\n";
    CHECK(rewritten(any, one).content == any);
    CHECK(rewritten(any, one).notes.empty());
    const std::string plain =
        "SUBSYSTEM==\"net\", ATTR{address}==\"00:0c:29:59:d3:36\", NAME=e\"eth0\"\n";
    CHECK(rewritten(plain, one).content == plain);
    CHECK(rewritten(plain, one).pinned.contains("eth0"));
    const std::string escaped = "SUBSYSTEM==\"net\", NAME=e\"eth\\x30\"\n";
    const RulesRewrite result = rewritten(escaped, one);
    CHECK(result.content == escaped);
    REQUIRE(result.notes.size() == 1);
    CHECK(result.notes[0] == "line 1: udev cannot read this, left as it is");
}

TEST_CASE("a byte order mark and carriage returns are reported") {
    const std::string right = rule("00:0c:29:59:d3:36", "eth0");
    const RulesRewrite marked = rewritten("\xEF\xBB\xBF" + right + "\n", one);
    CHECK_FALSE(marked.pinned.contains("eth0"));
    REQUIRE_FALSE(marked.notes.empty());
    CHECK(marked.notes[0] == "line 1: a byte order mark stands before it, which udev cannot read");
    const RulesRewrite dos = rewritten(right + "\r\n", one);
    CHECK(dos.content == right + "\r\n");
    REQUIRE(dos.notes.size() == 1);
    CHECK(dos.notes[0] ==
          "lines end in CR and LF, which an old udev may not read; left as they are");
}

TEST_CASE("addresses that are not six bytes with colons are left, and hyphens are reported") {
    for (const char* address :
         {"80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1", "00:0c:29:*"}) {
        const std::string text = rule(address, "ib0") + "\n";
        CHECK(rewritten(text, one).content == text);
        CHECK(rewritten(text, one).notes.empty());
    }
    const RulesRewrite hyphens = rewritten(rule("00-0c-29-8d-71-3f", "eth7") + "\n", one);
    REQUIRE(hyphens.notes.size() == 1);
    CHECK(hyphens.notes[0] == "line 1: an address without colons never matches, left as it is");
}

TEST_CASE("NAME:= names a card as NAME= does") {
    const std::string before =
        "SUBSYSTEM==\"net\", ATTR{address}==\"00:00:00:00:00:0a\", NAME:=\"eth0\"\n";
    CHECK(rewritten(before, one)
              .content.ends_with(
                  "SUBSYSTEM==\"net\", ATTR{address}==\"00:0c:29:59:d3:36\", NAME:=\"eth0\"\n"));
}

TEST_CASE("the names that live rules give to addresses are listed, comments are not") {
    const std::vector<RuleBinding> bindings =
        bindings_in_rules("#" + rule("00:00:00:00:00:0a", "eth0") + "\n" +
                          rule("00:00:00:00:00:0B", "eth1") + "\nSUBSYSTEM==\"net\"\n");
    REQUIRE(bindings.size() == 1);
    CHECK(bindings[0].name == "eth1");
    CHECK(bindings[0].mac == "00:00:00:00:00:0b");
    CHECK(bindings[0].line == 2);
}
