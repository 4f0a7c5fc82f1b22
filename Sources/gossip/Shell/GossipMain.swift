import ArgumentParser
import Contracts

@main
struct GossipMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gossip",
        abstract: "A device's voice: signs and floods messages, keeps everyone's scores.",
        discussion: """
            One of the five services of a device of Poise. It holds the device's key, finds the other devices, \
            and hands their messages to the local consensus and planner.
            """,
        version: poiseVersion,
        subcommands: [RunCommand.self, HealthVerb.self, PeersCommand.self, ScoresCommand.self])
}
