# SPDX-License-Identifier: MIT
"""The guards of docs/threat-model.md, each with a way to take it out and the tests that must notice.

A guard is (never, name, what it is, file below Sources/, [(text, text without it)…], [tests]). `off("name")` in the
second text is true where that guard is out. A test is a filter of `swift test`, or `hostile:` and a part of the title
of a case of Tests/Hostile/hostile.py.
"""

GUARDS = []


def guard(never, name, what, file, changes, *tests):
    if isinstance(changes, tuple):
        changes = [changes]
    GUARDS.append((never, name, what, file, [(old, new.replace("OFF", 'off("%s")' % name)) for old, new in changes],
                   list(tests)))


# N1: nothing outside the inbox

guard("N1", "entry-name", "an entry's name is one plain component", "Archive/EntryName.swift", [
    ('guard text != ".", text != ".." else', 'guard OFF || (text != "." && text != "..") else'),
    ("if byte == 0x2F { throw", "if byte == 0x2F, !OFF { throw"),
], "EntryNameTests", "hostile:T01 traversal names in ENTRY")
guard("N1", "plain-component", "no call takes more than one component", "Descriptors/Directory.swift",
      ("guard Self.isComponent(name) else {", "guard OFF || Self.isComponent(name) else {"), "DirectoryTests")
guard("N1", "destination", "a destination is no folder of the daemon's own", "Transfer/Message+Decoding.swift",
      ("destination.first?.isReserved != true else", "OFF || destination.first?.isReserved != true else"),
      "MessageTests", "hostile:T01 traversal names in OPEN")
guard("N1", "inbox-place", "the inbox is no home folder and not in a hidden one", "RTunDaemon/Inbox.swift", [
    ("real == homePath", "real == homePath, !OFF"),
    ('.contains(where: { $0.hasPrefix(".") }) else {', '.contains(where: { $0.hasPrefix(".") && !OFF }) else {'),
], "CommandLineTests/inboxRefused")
guard("N1", "inbox-moved", "an inbox that was moved receives nothing", "RTunDaemon/Inbox.swift",
      ("guard isInPlace else { throw Fault(description: \"\\(path) was", "guard OFF || isInPlace else { throw Fault(description: \"\\(path) was"),
      "InboxTests")
guard("N1", "wall", "the worker stands behind Landlock", "RTunDaemon/WorkerWall.swift",
      ("let wall = try Wall.begin()", "if OFF { return .absent(reason: \"it was taken out\") }\nlet wall = try Wall.begin()"),
      "EndToEndTests.EndToEnd/WallTests")
guard("N1", "wall-for-the-process", "the wall is raised before there are threads", "Descriptors/Wall.swift",
      ("threads.count != 1 {", "threads.count != 1, !OFF {"), "DescriptorsTests.WallTests")
guard("N1", "host-folder", "the plain socket does not write into a host's folder", "RTunDaemon/ConnectionService.swift",
      ("guard gate == .plain, let first", "guard !OFF, gate == .plain, let first"), "LabelTests")

# N2: no symlink is followed

guard("N2", "no-follow-folder", "folders are opened without following links", "Descriptors/Directory.swift",
      ("O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC }", "O_RDONLY | O_DIRECTORY | (OFF ? 0 : O_NOFOLLOW) | O_CLOEXEC }"),
      "HostileStagingTests", "RaceTests", "RemovalTests", "hostile:T02")
guard("N2", "no-follow-file", "files are opened without following links", "Descriptors/Directory.swift",
      ("O_CLOEXEC | (followingLink ? 0 : O_NOFOLLOW)", "O_CLOEXEC | (followingLink || OFF ? 0 : O_NOFOLLOW)"),
      "HostileStagingTests", "DirectoryTests")
guard("N2", "create-exclusively", "a new file takes no name that stands", "Descriptors/Directory.swift",
      ("O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC",
       "O_RDWR | O_CREAT | (OFF ? 0 : O_EXCL | O_NOFOLLOW) | O_CLOEXEC"), "HostileStagingTests", "DirectoryTests")
guard("N2", "symlink-target", "a link that might leave its tree is refused", "Archive/EntryName.swift",
      ("return climbed <= max(depth, 0)", "return OFF || climbed <= max(depth, 0)"), "EntryNameTests", "hostile:T02")
guard("N2", "symlink-through-link", "`..` stands only at the front of a target", "Archive/EntryName.swift",
      ("if hasDescended { return false }", "if hasDescended, !OFF { return false }"), "EntryNameTests", "hostile:T02")
guard("N2", "first-of-a-name", "of two entries of one name the first stands", "Archive/ArchiveIndex.swift",
      ("if isTaken {", "if isTaken, !OFF {"), "StagingTests", "hostile:T08 of two")

guard("N2", "folded-names", "so of two that the file system takes for one", "Archive/ArchiveIndex.swift",
      ("insert(name.folded).inserted == false }", "insert(name.folded).inserted == false && !OFF }"), "ArchiveIndexTests")

# N3: nothing of others is replaced

guard("N3", "no-replace", "a final name is taken without replacing", "Descriptors/Directory+Renaming.swift",
      ("do throws(SystemError) {\n            try perform(.init(\"renameat2\", \"rename\")",
       "if OFF { return try rename(name, to: newName, in: target) }\n        do throws(SystemError) {\n            try perform(.init(\"renameat2\", \"rename\")"),
      "RenamingTests", "ArchiveTests.PublicationTests")
guard("N3", "ours-only", "only what is untouched since its receipt is replaced", "Archive/PublicationPlanner.swift",
      ("receipt.isOf(standing) || (linked", "OFF || receipt.isOf(standing) || (linked"), "SendAgainTests/editedBelow")
guard("N3", "ours-at-the-top", "so it is for the name of what is sent", "Archive/NamePlan.swift",
      ("receipt.isOf(status) { break }", "receipt.isOf(status) || OFF { break }"), "SendAgainTests/edited")
guard("N3", "looked-at-again", "what an exchange brought out is looked at before it goes", "Archive/Publication.swift",
      ("if old.matches(try staged.status(name(of: step)), ignoringChangeTime: true) {",
       "let isOld = old.matches(try staged.status(name(of: step)), ignoringChangeTime: true)\n        if isOld || OFF {"),
      "EndToEndTests.EndToEnd/PublicationTests/edited")

# N4: nothing partial under a final name

guard("N4", "manifest-digest", "COMMIT has the digest of the records", "Transfer/ReceiverStateMachine.swift",
      ("guard commit.manifest == manifest else", "guard OFF || commit.manifest == manifest else"),
      "ReceiverStateMachineTests", "hostile:T22 sessions")
guard("N4", "whole-files", "every chunk is there at COMMIT", "Transfer/ReceiverStateMachine.swift",
      ("guard index.incompleteFiles == 0 else", "guard OFF || index.incompleteFiles == 0 else"), "ReceiverStateMachineTests")
guard("N4", "read-back", "written bytes are read back and have their digest", "Archive/Staging.swift",
      ("guard case .success(target.digest) = readBack else", "if OFF { return nil }\nguard case .success(target.digest) = readBack else"),
      "StagingTests", "ReceiverTests")

# N5: OK only when it is durable

guard("N5", "sync-before-ack", "the file system is synced before an acknowledgement", "Archive/Staging.swift",
      ("try folder.descriptor.synchronizeFileSystem()", "if !OFF { try folder.descriptor.synchronizeFileSystem() }"),
      "EndToEndTests.EndToEnd/PublicationTests/order")
guard("N5", "journal-sync", "so is the journal", "Archive/Staging.swift",
      ("try journal.synchronize()", "if !OFF { try journal.synchronize() }"), "EndToEndTests.EndToEnd/PublicationTests/order")
guard("N5", "folder-sync", "both folders are synced before OK", "Archive/Publication.swift",
      ("try folders.root.synchronize()", "if !OFF { try folders.root.synchronize() }"),
      "EndToEndTests.EndToEnd/PublicationTests/order")

# N6: nothing is opened that is not on the list

guard("N6", "view-never", "scripts, links and installers are never opened", "RTunDaemon/ViewType+Sniffing.swift",
      ("if neverOpened.contains(fileExtension) {", "if neverOpened.contains(fileExtension), !OFF {"), "ViewTypeTests")
guard("N6", "view-list", "a type is allowed for the host", "RTunDaemon/ViewType+Sniffing.swift",
      ("guard allowed.contains(type) else", "guard OFF || allowed.contains(type) else"), "ViewTypeTests", "PageTests")
guard("N6", "view-mode", "what may be run is not opened", "RTunDaemon/ViewType+Sniffing.swift",
      ("if mode & 0o111 != 0 {", "if mode & 0o111 != 0, !OFF {"), "ViewTypeTests")
guard("N6", "view-content", "content agrees with the name", "RTunDaemon/ViewType+Sniffing.swift",
      ("return agrees ? .open(type)", "return agrees || OFF ? .open(type)"), "ViewTypeTests", "ViewNotifyTests")
guard("N6", "view-program", "what begins as a program is not opened", "RTunDaemon/ViewType+Sniffing.swift",
      ("if beginsAsProgram(Array(start.prefix(8))) {", "if beginsAsProgram(Array(start.prefix(8))), !OFF {"), "ViewTypeTests")
guard("N6", "view-size", "200 MiB", "RTunDaemon/ViewType+Sniffing.swift",
      ("guard size <= sizeLimit else", "guard OFF || size <= sizeLimit else"), "ViewTypeTests")
guard("N6", "view-text", "text has no controls", "RTunDaemon/ViewType+Sniffing.swift",
      ("guard text.consume(bytes) else", "guard text.consume(bytes) || OFF else"), "ViewTypeTests")
guard("N6", "page-beside", "beside a page stands nothing that could run", "RTunDaemon/PageFolder.swift",
      ("} else if try !Self.mayStandBeside(name, in: holder) {", "} else if try !OFF && !Self.mayStandBeside(name, in: holder) {"),
      "PageFolderTests")
guard("N6", "desktop-place", "the desktop's process opens viewed files alone", "RTunDaemon/DesktopService.swift",
      ("guard places.isViewedFile(path) else", "guard OFF || places.isViewedFile(path) else"), "DesktopServiceTests")
guard("N6", "desktop-mode", "and no file that may be run", "RTunDaemon/DesktopPlaces.swift",
      ("status.mode & 0o111 == 0 &&", "(OFF || status.mode & 0o111 == 0) &&"), "DesktopServiceTests")
guard("N6", "quarantine", "macOS: without the mark nothing is opened", "RTunDaemon/Opener.swift",
      ("if let failure = await mark(path) { return failure }", "if let failure = await mark(path), !OFF { return failure }"),
      "OpenerTests")

# N7: a peer's text is data

guard("N7", "option-end", "a peer's words stand behind --", "RTunDaemon/Notifier.swift",
      ('+ ["--", title, escapingForNotifySend(body)]', '+ (OFF ? [] : ["--"]) + [title, escapingForNotifySend(body)]'),
      "NotifierTests", "ViewNotifyTests")
guard("N7", "markup", "markup in a body is escaped", "RTunDaemon/Notifier.swift",
      ('case "<": escaped += "&lt;"', 'case "<": escaped += OFF ? "<" : "&lt;"'), "NotifierTests")
guard("N7", "absolute-path", "an opener gets an absolute path", "RTunDaemon/Opener.swift",
      ('guard path.utf8.first == UInt8(ascii: "/"), ', 'guard OFF || path.utf8.first == UInt8(ascii: "/"), '), "OpenerTests")
guard("N7", "origin-bracket", "a peer's name cannot close its bracket", "RTunDaemon/Notifier.swift",
      ('name.filter { $0 != "]" }', 'name.filter { $0 != "]" || OFF }'), "NotifierTests")

# N8: nothing raw on a terminal

guard("N8", "safe-text", "controls and invisible characters are escaped", "Archive/SafeText.swift",
      ("if isASCII { return value < 0x20 || value == 0x7F }\n        if isInvisibleControl { return true }",
       "if OFF { return false }\n        if isASCII { return value < 0x20 || value == 0x7F }\n        if isInvisibleControl { return true }"),
      "SafeTextTests", "CommandLineTests")
guard("N8", "safe-log", "so they are in the log", "RTunDaemon/LogFile.swift",
      ('text += "\\(SafeText(message, limit: Self.messageLimit))\\n"',
       'text += OFF ? message + "\\n" : "\\(SafeText(message, limit: Self.messageLimit))\\n"'), "LogFileTests", "hostile:T71")
guard("N8", "safe-complaint", "and in complaints about what was typed", "rtun/EntryPoint.swift",
      ("scalar.isUnsafeForDisplay ? safe", "scalar.isUnsafeForDisplay && !OFF ? safe"), "CommandLineTests")
guard("N8", "safe-error", "and in errors of the system", "Descriptors/SystemError.swift",
      ("switch scalar.properties.generalCategory {", "switch OFF ? .uppercaseLetter : scalar.properties.generalCategory {"),
      "SystemErrorTests")
guard("N8", "safe-notice", "and in notifications", "RTunDaemon/Notifier.swift",
      ("let body = SafeText(notice.body, limit: bodyLimit, layout: .block).description",
       "let body = OFF ? notice.body : SafeText(notice.body, limit: bodyLimit, layout: .block).description"),
      "NotifierTests", "ViewNotifyTests")

# N9: the server learns nothing

guard("N9", "attach-secret", "ATTACH needs the secret", "RTunDaemon/TransferRegistry.swift",
      ("found.secret == secret else {", "OFF || found.secret == secret else {"), "GreedyPeerTests/attachOracle", "hostile:T21")
guard("N9", "attach-epoch", "and the epoch", "RTunDaemon/TransferRegistry.swift",
      ("found.epoch == request.epoch, ", "OFF || found.epoch == request.epoch, "), "hostile:T21 refusals")
guard("N9", "resume-secret", "only the secret takes over a transfer", "RTunDaemon/TransferRegistry.swift",
      ("entry.secret == secret {", "OFF || entry.secret == secret {"), "hostile:T22 sessions", "GreedyPeerTests")
guard("N9", "plain-words", "a failure is told as a kind, without its cause", "Transfer/Receiver.swift",
      ('default: Abort(.internal, "the laptop\'s daemon failed")', 'default: Abort(.internal, OFF ? "\\(error)" : "the laptop\'s daemon failed")'),
      "ReceiverTests")

# N10: no administration on the forwarded socket

guard("N10", "administration", "PID and SHUTDOWN are refused", "RTunDaemon/LineDialogue.swift",
      ("case .administration: return .refusedCommand(line)", "case .administration: return OFF ? .done : .refusedCommand(line)"),
      "OriginalClientTests/dialogues", "hostile:T21 refusals")
guard("N10", "label-name", "a label is no path", "RTunDaemon/HostLabel.swift",
      ("bytes.allSatisfy(Self.isAllowed), let first", "OFF || bytes.allSatisfy(Self.isAllowed), let first"),
      "HostLabelTests", "LabelTests")

# N11: one connection cannot stop another

guard("N11", "first-line-deadline", "10 s for the greeting, however it trickles", "RTunDaemon/ConnectionService.swift",
      ("connection.deadline(in: TransferLimits.firstLineSeconds)", "connection.deadline(in: OFF ? 300 : TransferLimits.firstLineSeconds)"),
      "GreedyPeerTests/slowGreeting")
guard("N11", "idle-limit", "45 s of silence end a transfer's link", "Transfer/Receiver.swift",
      ("if now - lastHeard >= .seconds(patience) {", "if !OFF, now - lastHeard >= .seconds(patience) {"),
      "ReceiverTests")
guard("N11", "silent-reader", "also where its reader waits for records", "Transfer/Receiver.swift",
      ("// A reader that waits for records does not read, and would wait for ever.\n                    await self.letGo(of: link)",
       "if !OFF { await self.letGo(of: link) }"), "ReceiverTests")
guard("N11", "write-deadline", "a peer that does not read is closed", "Transfer/SocketConnection.swift",
      ("let timer = deadline(in: TransferLimits.idleSeconds)", "let timer = deadline(in: OFF ? 600 : TransferLimits.idleSeconds)"),
      "hostile:T16")
guard("N11", "cap-in-all", "128 connections in all", "RTunDaemon/Admission.swift",
      ("guard state.total + kept < Self.total else", "guard state.total + kept < (OFF ? 1_000 : Self.total) else"),
      "AdmissionTests", "GreedyPeerTests/silence")
guard("N11", "cap-of-a-label", "32 of one label", "RTunDaemon/Admission.swift",
      ("if case .host = gate, own >= Self.perParty {", "if case .host = gate, own >= (OFF ? 1_000 : Self.perParty) {"), "AdmissionTests")
guard("N11", "cap-of-a-source", "32 of one source", "RTunDaemon/Admission.swift",
      ("guard count.all < Self.perParty else", "guard count.all < (OFF ? 1_000 : Self.perParty) else"), "AdmissionTests", "GreedyPeerTests/oneSource")
guard("N11", "cap-of-data", "28 of them for data", "RTunDaemon/Admission.swift",
      ("count.data < Self.perParty - Self.kept else", "OFF || count.data < Self.perParty - Self.kept else"), "AdmissionTests")
guard("N11", "peer-user", "another user of the laptop is turned away", "RTunDaemon/Daemon.swift",
      ("guard user == ProcessContext.effectiveUserID else", "guard OFF || user == ProcessContext.effectiveUserID else"),
      "LabelTests/otherUser")

# N12: no number unchecked

guard("N12", "message-length", "a message is as long as its type may be", "Transfer/MessageReader.swift",
      ("guard length <= min(kind.limit, bodyLimit) else", "guard OFF || length <= min(kind.limit, bodyLimit) else"),
      "MessageReaderTests")
guard("N12", "line-length", "a line ends at its limit", "Transfer/MessageReader.swift",
      ("guard view.count < limit else", "guard OFF || view.count < limit else"), "MessageReaderTests")
guard("N12", "number-limit", "a number of a record has a limit", "Archive/ByteReader.swift",
      ("guard value <= limit else", "guard OFF || value <= limit else"), "RecordTests", "ByteReaderTests")
guard("N12", "chunk-length", "a chunk has 4 MiB at most", "Archive/Record+Decoding.swift",
      ("guard length <= ArchiveLimits.chunkBytes else", "guard OFF || length <= ArchiveLimits.chunkBytes else"), "RecordTests")
guard("N12", "frame-length", "so has a frame", "Archive/ArchiveIndex.swift",
      ("guard rawBytes <= ArchiveLimits.frameBytes else", "guard OFF || rawBytes <= ArchiveLimits.frameBytes else"), "ArchiveLieTests")
guard("N12", "frame-chunks", "a frame names 16,384 chunks at most", "Archive/FrameHeader.swift",
      ("chunks <= ArchiveLimits.frameChunks else", "OFF || chunks <= ArchiveLimits.frameChunks else"), "FrameHeaderTests")
guard("N12", "listed-chunks", "262,144 chunks wait at most", "Archive/ArchiveIndex.swift",
      ("guard awaited.count < ArchiveLimits.listedChunks else", "guard OFF || awaited.count < ArchiveLimits.listedChunks else"),
      "ArchiveLieTests", "hostile:T22 over")
guard("N12", "depth", "128 levels and 4,096 bytes of a path", "Archive/ArchiveIndex.swift",
      ("guard depth < ArchiveLimits.depth, pathBytes", "guard OFF || depth < ArchiveLimits.depth, OFF || pathBytes"),
      "ArchiveLieTests", "hostile:T08 records")
guard("N12", "credit", "64 MiB are under way at most", "Transfer/ReceiverStateMachine.swift",
      ("guard outstanding == 0 || outstanding", "guard OFF || outstanding == 0 || outstanding"), "ReceiverStateMachineTests")
guard("N12", "window", "a zstd window has 8 MiB at most", "Codecs/ZstdFrameHeader.swift",
      ("guard windowByteCount <= 1 << Self.maximumWindowLog else", "guard OFF || windowByteCount <= 1 << Self.maximumWindowLog else"),
      "HostilePayloadTests")
guard("N12", "one-frame", "a payload is one frame", "Codecs/ZstdDecoder.swift",
      ("try requireOneFrame(payload)", "if !OFF { try requireOneFrame(payload) }"), "HostilePayloadTests")
guard("N12", "notice-budget", "10 notifications a minute", "RTunDaemon/NotificationBudget.swift",
      ("let isAdmitted = !isHolding", "let isAdmitted = OFF || !isHolding"), "NotificationBudgetTests", "hostile:T73")
guard("N12", "log-budget", "lines that peers cause are limited", "RTunDaemon/LogFile.swift",
      ("if fromPeer, !state.budget.take(at: monotonicClock()) {", "if fromPeer, !OFF, !state.budget.take(at: monotonicClock()) {"),
      "LogFileTests")
guard("N12", "transfer-limit", "a transfer stays within its limit", "RTunDaemon/SpaceLedger.swift",
      ("guard bytes <= account.limit - min(account.reserved, account.limit) else",
       "guard OFF || bytes <= account.limit - min(account.reserved, account.limit) else"), "SpaceLedgerTests", "SpaceTests/perTransfer")
guard("N12", "quota", "a host stays within its quota", "RTunDaemon/SpaceLedger.swift",
      ("guard used <= quota.limit, bytes", "guard OFF || used <= quota.limit, OFF || bytes"), "SpaceLedgerTests", "SpaceTests/quota")
guard("N12", "floor", "some space stays free", "RTunDaemon/SpaceLedger.swift",
      ("guard bytes == 0 || (!overflow", "guard OFF || bytes == 0 || (!overflow"), "SpaceLedgerTests", "SpaceTests/floor")
guard("N12", "desktop-requests", "32 requests to the desktop at once", "RTunDaemon/DesktopService.swift",
      ("guard counts.requests < limit else", "guard off(\"desktop-requests\") || counts.requests < limit else"), "DesktopServiceTests")

# N13: kinds, modes and times

guard("N13", "kinds", "there are four kinds of entries", "Archive/Record+Decoding.swift",
      ('guard let kind = Kind(rawValue: try body.u8()) else { throw FormatError("unknown kind of entry") }',
       'guard let kind = Kind(rawValue: try body.u8()) ?? (OFF ? .file : nil) else { throw FormatError("unknown kind of entry") }'),
      "RecordTests", "hostile:T06")
guard("N13", "mode-mask", "no setuid, setgid, sticky, nor write for others", "Archive/Staging.swift",
      ("let mode = 0o600 | (place.mode & 0o755)", "let mode = 0o600 | (place.mode & (OFF ? 0o7777 : 0o755))"), "StagingTests", "hostile:T07")
guard("N13", "mode-mask-folder", "nor on folders", "Archive/Staging.swift",
      ("try made.setMode(0o700 | (UInt32(index.entries[entry].mode) & 0o755))",
       "try made.setMode(0o700 | (UInt32(index.entries[entry].mode) & (OFF ? 0o7777 : 0o755)))"), "StagingTests", "hostile:T07")
guard("N13", "time-clamp", "times between 1970 and tomorrow", "Archive/Staging.swift",
      ("return min(max(self, Timestamp(seconds: 0, nanoseconds: 0)), ceiling)",
       "return OFF ? self : min(max(self, Timestamp(seconds: 0, nanoseconds: 0)), ceiling)"), "StagingTests", "hostile:T07")

# N14: only what is its own is removed

guard("N14", "foreign-socket", "a socket that answers, or is not ours, stays", "RTunDaemon/ListeningSocket.swift",
      ("guard old.kind == .socket, old.owner == ProcessContext.effectiveUserID, Self.isDead(address) else {",
       "guard OFF || (old.kind == .socket && old.owner == ProcessContext.effectiveUserID && Self.isDead(address)) else {"),
      "DaemonLifecycleTests")
guard("N14", "own-socket", "at the end only the socket that was bound is removed", "RTunDaemon/ListeningSocket.swift",
      ("if isInPlace { try?", "if isInPlace || OFF { try?"), "DaemonLifecycleTests")
guard("N14", "one-daemon", "one daemon has the lock", "RTunDaemon/Supervisor.swift",
      ("guard try lock.lockExclusively() else", "guard try lock.lockExclusively() || OFF else"), "DaemonTests", "DaemonLifecycleTests")
guard("N14", "dead-only", "the client removes dead sockets of its own alone", "rtun/SocketFolder.swift",
      ("Self.refusesConnections(candidate.address)", "OFF || Self.refusesConnections(candidate.address)"),
      "CommandLineTests", "FinderTests")
guard("N14", "staging-lock", "a staging folder whose lock is held stays", "Archive/Staging+Expiry.swift",
      ("return try folder.openFile(\"lock\", writable: true).lockExclusively()\n        } catch {\n            return false\n        }\n    }\n}",
       "return try folder.openFile(\"lock\", writable: true).lockExclusively() || OFF\n        } catch {\n            return false\n        }\n    }\n}"),
      "StagingTests")

# The server's side, and the line protocol

guard("A2", "listener-user", "the client talks to its own user's listener alone", "Transfer/SocketConnection.swift",
      ("guard peer == ProcessContext.effectiveUserID || peer == 0 else", "guard OFF || peer == ProcessContext.effectiveUserID || peer == 0 else"),
      "DaemonLifecycleTests/foreignListener")
guard("A2", "state-folder", "`~/.rtun` is nobody else's to write", "Transfer/StateFolder.swift",
      ("guard status.mode & 0o022 == 0 else", "guard OFF || status.mode & 0o022 == 0 else"), "InboxTests")
guard("A2", "state-folder-link", "and no symlink", "Transfer/StateFolder.swift",
      ("return try Directory.open(path, followingLinks: false)", "return try Directory.open(path, followingLinks: OFF)"), "InboxTests/stateFolder")
guard("A2", "socket-folder", "nor is the folder of a socket", "RTunDaemon/ListeningSocket.swift",
      ("status.owner == ProcessContext.effectiveUserID, status.mode & 0o022 == 0 else {",
       "OFF || (status.owner == ProcessContext.effectiveUserID && status.mode & 0o022 == 0) else {"), "InboxTests/socketFolder")
guard("line", "line-path", "`..` in a path of the line protocol stays in the inbox", "Transfer/OriginalRequest.swift",
      ("_ = parts.popLast()\n            } else", "if OFF { parts.append(part) } else { _ = parts.popLast() }\n            } else"),
      "OriginalRequestTests")
guard("line", "line-digest", "the digest of a file is compared", "RTunDaemon/LineReception.swift",
      ("guard said.elementsEqual(digest.description.utf8) else", "guard OFF || said.elementsEqual(digest.description.utf8) else"),
      "OriginalClientTests/dialogues")
guard("line", "line-truncated", "a file that ends early is an error", "RTunDaemon/LineReception.swift",
      ("return .short(expected: file.size, got: file.receivedBytes)", "return OFF ? .done : .short(expected: file.size, got: file.receivedBytes)"),
      "OriginalClientTests")
guard("line", "line-space", "its announced size is set aside first", "RTunDaemon/IncomingFile.swift",
      ("try space.reserve(UInt64(transfer.size))", "if !OFF { try space.reserve(UInt64(transfer.size)) }"), "SpaceTests/original")
