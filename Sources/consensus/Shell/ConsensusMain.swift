import ArgumentParser
import Contracts

@main
struct ConsensusMain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consensus",
        abstract: "Elects the node that leads a site of Poise.",
        discussion: """
            One of the five services of a device. It talks to the other devices through gossip, learns the site's \
            members from planner, and tells planner who leads and in which term. What the chain decides never \
            depends on it: a wrong election delays blocks and can do no worse.
            """,
        version: poiseVersion,
        subcommands: [RunCommand.self, HealthVerb.self, LeaderCommand.self])
}
