import ConsensusCore
import ElectionSimulation
import FoundationEssentials
import Testing

/// One small history of each engine, to be read (docs/elections/*.txt): three nodes elect, lose their leader and have
/// another. A change of a protocol shows there as a difference that a person can judge.
struct TranscriptTests {
    @Test(arguments: Elections.names) func threeNodesElectLoseAndReplaceALeader(name: String) throws {
        let transcript = try ElectionTranscript.ofThreeNodes(Elections.named(name))
        let path = "docs/elections/\(name).txt"
        let expected = try String(contentsOf: Self.root.appending(path: path), encoding: .utf8)
        #expect(transcript == expected, "\(path) differs: `make transcripts` writes it anew")
    }

    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
}
