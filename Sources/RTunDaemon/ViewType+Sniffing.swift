// SPDX-License-Identifier: MIT

/// Judging a file by its name and its content together.
extension ViewType {
    /// How much of a file is in memory at once, in bytes.
    private static let blockSize = 64 << 10

    /// Decides whether a file may be opened.
    ///
    /// The file is read through a closure, so that the very descriptor is judged that will be delivered. Images and
    /// documents must begin with the full header of their kind at offset 0; text is read to its end.
    ///
    /// - Parameters:
    ///   - name: the name the peer gave; only its extension counts.
    ///   - size: bytes in the file.
    ///   - mode: its permission bits, with or without the type bits (`st_mode`).
    ///   - allowed: the kinds that the laptop's config lets this host open.
    ///   - read: fills a buffer from an offset, as pread(2) does, and returns how many bytes it wrote; 0 at the end.
    /// - Returns: the kind to open it as, or why it is only kept.
    /// - Throws: only what `read` throws.
    package static func verdict<Failure: Error>(
        name: String,
        size: Int64,
        mode: UInt32,
        allowed: Set<ViewType> = allowedByDefault,
        read: (inout MutableRawSpan, Int64) throws(Failure) -> Int
    ) throws(Failure) -> ViewVerdict {
        let type: ViewType
        switch judge(name: name, size: size, mode: mode, allowed: allowed) {
        case .open(let candidate): type = candidate
        case .saveOnly(let reason): return .saveOnly(reason: reason)
        }

        var block = [UInt8](repeating: 0, count: blockSize)
        var offset: Int64 = 0
        var text = TextScanner(isJSON: type == .json)
        repeat {
            let wanted = Int(min(Int64(blockSize), size - offset))
            let count = try fill(&block, count: wanted, at: offset, with: read)
            guard count == wanted else { return .saveOnly(reason: .truncated) }
            let bytes = block[..<count]
            if offset == 0 {
                let start = bytes.starts(with: TextScanner.byteOrderMark) ? bytes.dropFirst(3) : bytes
                if beginsAsProgram(Array(start.prefix(8))) { return .saveOnly(reason: .program) }
                if !type.isText {
                    let agrees = type.agrees(withHeader: FileHeader(Array(bytes.prefix(512)), size: size))
                    return agrees ? .open(type) : .saveOnly(reason: .contentDiffers(type))
                }
            }
            guard text.consume(bytes) else { return .saveOnly(reason: .contentDiffers(type)) }
            offset += Int64(count)
        } while offset < size

        if text.beginsAsMarkup && !type.isMarkup { return .saveOnly(reason: .markup(type)) }
        return text.isWhole ? .open(type) : .saveOnly(reason: .contentDiffers(type))
    }

    /// Everything that can be decided before the first byte is read.
    private static func judge(name: String, size: Int64, mode: UInt32, allowed: Set<ViewType>) -> ViewVerdict {
        let kind = mode & 0o170000  // S_IFMT
        guard kind == 0 || kind == 0o100000, size >= 0 else { return .saveOnly(reason: .notRegular) }
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex, name.index(after: dot) != name.endIndex else {
            return .saveOnly(reason: .noExtension)
        }
        let fileExtension = name[name.index(after: dot)...].lowercased()
        if neverOpened.contains(fileExtension) { return .saveOnly(reason: .neverOpened(fileExtension)) }
        guard let type = ViewType(fileExtension: fileExtension) else {
            return .saveOnly(reason: .unknownExtension(fileExtension))
        }
        if mode & 0o111 != 0 { return .saveOnly(reason: .executable) }
        guard allowed.contains(type) else { return .saveOnly(reason: .notAllowed(type)) }
        guard size <= sizeLimit else { return .saveOnly(reason: .tooLarge(size)) }
        return .open(type)
    }

    /// Reads `count` bytes, or fewer only at the end of the file.
    private static func fill<Failure: Error>(
        _ block: inout [UInt8],
        count: Int,
        at offset: Int64,
        with read: (inout MutableRawSpan, Int64) throws(Failure) -> Int
    ) throws(Failure) -> Int {
        var filled = 0
        while filled < count {
            // The array lends its bytes through a function without typed throws, hence the Result.
            let outcome: Result<Int, Failure> = block.withUnsafeMutableBytes { buffer in
                var span = UnsafeMutableRawBufferPointer(rebasing: buffer[filled..<count]).mutableBytes
                do throws(Failure) {
                    return .success(try read(&span, offset + Int64(filled)))
                } catch {
                    return .failure(error)
                }
            }
            let length = try outcome.get()
            precondition(0...count - filled ~= length, "a reader reported more than it was given room for")
            if length == 0 { break }
            filled += length
        }
        return filled
    }

    private var isText: Bool {
        switch self {
        case .txt, .log, .csv, .tsv, .json, .md, .html, .svg: true
        default: false
        }
    }

    private var isMarkup: Bool { self == .html || self == .svg }

    /// ELF, Mach-O (thin and fat, both byte orders; a Java class has the fat one's number), PE, and `#!`.
    static func beginsAsProgram(_ start: [UInt8]) -> Bool {
        let signatures: [[UInt8]] = [
            [0x7F, 0x45, 0x4C, 0x46],
            [0xFE, 0xED, 0xFA, 0xCE], [0xFE, 0xED, 0xFA, 0xCF], [0xCE, 0xFA, 0xED, 0xFE], [0xCF, 0xFA, 0xED, 0xFE],
            [0xCA, 0xFE, 0xBA, 0xBE], [0xCA, 0xFE, 0xBA, 0xBF], [0xBE, 0xBA, 0xFE, 0xCA], [0xBF, 0xBA, 0xFE, 0xCA],
            [0x4D, 0x5A, 0x90, 0x00],
            [0x23, 0x21],
        ]
        return signatures.contains { start.starts(with: $0) }
    }

    /// Whether a file that is no text begins with the whole header of this kind.
    private func agrees(withHeader header: FileHeader) -> Bool {
        switch self {
        case .png:
            // PNG 5.2 and 11.2.2: the signature, then IHDR of 13 bytes.
            header.has([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52], at: 0)
        case .jpeg:
            // SOI, then the next marker.
            header.has([0xFF, 0xD8, 0xFF], at: 0)
                && (header.byte(at: 3).map { Self.jpegMarkers.contains($0) } ?? false)
        case .gif:
            header.has("GIF87a", at: 0) || header.has("GIF89a", at: 0)
        case .webp:
            header.has("RIFF", at: 0) && header.has("WEBPVP8", at: 8)
                && [0x20, 0x4C, 0x58].contains(header.byte(at: 15))
                && header.littleEndian(at: 4).map { $0 + 8 <= header.size } ?? false
        case .tiff:
            isTIFF(header)
        case .bmp:
            // BITMAPFILEHEADER: reserved fields zero, pixels inside the file; then an info header of a known size.
            header.has("BM", at: 0) && header.has([0, 0, 0, 0], at: 6)
                && [12, 40, 52, 56, 64, 108, 124].contains(header.littleEndian(at: 14))
                && header.littleEndian(at: 10).map { 26...header.size ~= $0 } ?? false
        case .heic:
            isHEIC(header)
        case .pdf:
            // ISO 32000 7.5.2 at offset 0; readers that search the first KiB are why polyglots work.
            (header.has("%PDF-1.", at: 0) || header.has("%PDF-2.", at: 0))
                && (0x30...0x39).contains(header.byte(at: 7) ?? 0)
        case .docx, .xlsx, .pptx, .odt, .ods, .odp, .zip:
            header.has([0x50, 0x4B, 0x03, 0x04], at: 0)
        case .gzip:
            header.has([0x1F, 0x8B, 0x08], at: 0)
        case .tar:
            header.has("ustar", at: 257)
        case .txt, .log, .csv, .tsv, .json, .md, .html, .svg:
            false
        }
    }

    /// The markers that may follow SOI: frames, tables, restart interval, APP0 to APP15 and comment.
    private static let jpegMarkers: Set<UInt8> = Set(0xE0...0xEF).union([0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xFE])

    /// TIFF 6.0 section 2 and BigTIFF: byte order, version, and a first directory inside the file.
    private func isTIFF(_ header: FileHeader) -> Bool {
        if header.has([0x49, 0x49, 0x2A, 0x00], at: 0) {
            return header.littleEndian(at: 4).map { 8..<header.size ~= $0 } ?? false
        }
        if header.has([0x4D, 0x4D, 0x00, 0x2A], at: 0) {
            return header.bigEndian(at: 4).map { 8..<header.size ~= $0 } ?? false
        }
        return header.has([0x49, 0x49, 0x2B, 0, 8, 0, 0, 0], at: 0)
            || header.has([0x4D, 0x4D, 0, 0x2B, 0, 8, 0, 0], at: 0)
    }

    /// ISO 14496-12 4.3: a file type box whose brands (major first, compatible from offset 16) name HEVC images.
    private func isHEIC(_ header: FileHeader) -> Bool {
        guard header.has("ftyp", at: 4), let length = header.bigEndian(at: 0) else { return false }
        guard length >= 16, length <= min(header.size, 512), length.isMultiple(of: 4) else { return false }
        let images = ["heic", "heix", "heim", "heis", "hevc", "hevx"]
        if images.contains(where: { header.has($0, at: 8) }) { return true }
        guard header.has("mif1", at: 8) || header.has("msf1", at: 8) else { return false }
        return stride(from: 16, to: Int(length), by: 4).contains { offset in
            images.contains { header.has($0, at: offset) }
        }
    }
}

/// The first bytes of a file, asked by offset; what lies beyond them agrees with nothing.
private struct FileHeader {
    private let bytes: [UInt8]
    /// Bytes in the whole file.
    let size: Int64

    init(_ bytes: [UInt8], size: Int64) {
        self.bytes = bytes
        self.size = size
    }

    func byte(at offset: Int) -> UInt8? { bytes.indices.contains(offset) ? bytes[offset] : nil }

    func has(_ pattern: [UInt8], at offset: Int) -> Bool { bytes.dropFirst(offset).starts(with: pattern) }

    func has(_ text: String, at offset: Int) -> Bool { bytes.dropFirst(offset).starts(with: text.utf8) }

    func bigEndian(at offset: Int) -> Int64? {
        guard offset + 4 <= bytes.count else { return nil }
        return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int64($1) }
    }

    func littleEndian(at offset: Int) -> Int64? {
        guard offset + 4 <= bytes.count else { return nil }
        return bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int64($1) }
    }
}
