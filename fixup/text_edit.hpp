#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Looking at a text word by word, and changing single words of it: every byte between them stays.
namespace coldspare::fixup {

/// A part of a text, and where it is. Points into the text.
struct Piece {
    std::size_t begin = 0; ///< offset in the whole text
    std::string_view text;
    [[nodiscard]] std::size_t end() const { return begin + text.size(); }
};

/// A line without its newline; a CR stays at its end and counts as a blank.
struct TextLine {
    unsigned number = 0; ///< from 1
    Piece piece;
};

/// The lines of a text. Beyond 100000 there are none.
[[nodiscard]] std::vector<TextLine> text_lines(std::string_view text);

/// The words in a piece, between any of the characters in `blanks`.
[[nodiscard]] std::vector<Piece> words_in(Piece piece, std::string_view blanks = " \t\r");

/// The part of a piece from an offset in it on.
[[nodiscard]] Piece part_of(Piece piece, std::size_t offset,
                            std::size_t size = std::string_view::npos);

/// Another text for the bytes from `begin` on.
struct Replacement {
    std::size_t begin = 0;
    std::size_t size = 0;
    std::string text;
};

/// `text` with all replacements made, in any order; they must not overlap.
[[nodiscard]] std::string replaced(std::string_view text, std::vector<Replacement> replacements);

} // namespace coldspare::fixup
