#include "fixup/text_diff.hpp"

#include <doctest/doctest.h>

using namespace coldspare::fixup;

TEST_CASE("equal texts have no diff") {
    CHECK(unified_diff("/x", "a\nb\n", "a\nb\n").empty());
}

TEST_CASE("a changed line is shown with three lines of context") {
    CHECK(unified_diff("/etc/x", "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n") ==
          "--- a/etc/x\n+++ b/etc/x\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST_CASE("a new file is compared with nothing") {
    CHECK(unified_diff("/etc/x", std::nullopt, "a\nb\n") ==
          "--- /dev/null\n+++ b/etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
}

TEST_CASE("two distant changes make two hunks with right line numbers") {
    std::string before;
    for (int i = 1; i <= 30; ++i) {
        before += std::to_string(i) + "\n";
    }
    std::string after = before;
    after.replace(after.find("5\n"), 2, "five\nmore\n");
    after.erase(after.find("25\n"), 3);
    const std::string diff = unified_diff("/x", before, after);
    CHECK(diff.find("@@ -2,7 +2,8 @@\n") != std::string::npos);
    CHECK(diff.find("@@ -22,7 +23,6 @@\n") != std::string::npos);
}

TEST_CASE("line ends that people cannot see are shown") {
    CHECK(unified_diff("/x", "a\r\n", "a") ==
          "--- a/x\n+++ b/x\n@@ -1,1 +1,1 @@\n-a^M\n+a\n\\ No newline at end of file\n");
    CHECK(unified_diff("/x", "", "\x1b[31m\tred\n").find("+?[31m\tred\n") != std::string::npos);
}

TEST_CASE("a diff of very many changed lines still ends") {
    std::string before;
    std::string after;
    for (int i = 0; i < 5000; ++i) {
        before += "old " + std::to_string(i) + "\n";
        after += "new " + std::to_string(i) + "\n";
    }
    CHECK(unified_diff("/x", before, after).find("@@ -1,5000 +1,5000 @@") != std::string::npos);
}
