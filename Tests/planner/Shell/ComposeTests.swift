import Contracts
import Testing

@testable import planner

/// The apps of a file called `site.yaml`.
private func read(_ text: String) throws -> [AppSpecification] {
    try ComposeFile.read(Array(text.utf8), name: "site.yaml")
}

/// What is said of a file that is refused.
private func refusal(_ text: String) -> [String] {
    do {
        return ["accepted: \(try ComposeFile.read(Array(text.utf8), name: "site.yaml"))"]
    } catch {
        return error.problems
    }
}

/// A file with one app that has `settings`, from line 4 on.
private func web(_ settings: String) -> String {
    let lines = settings.split(separator: "\n", omittingEmptySubsequences: false).map { "    \($0)" }
    return "services:\n  web:\n    image: nginx\n" + lines.joined(separator: "\n") + "\nvolumes: {data: }\n"
}

@Suite struct ComposeTests {
    @Test func everythingThatIsKept() throws {
        let apps = try read(
            """
            version: "3.9"
            name: site
            x-common: &common
              restart: unless-stopped
            services:
              counter:
                <<: *common
                image: registry.example:5000/team/counter:1.2
                command: python -c "print('a b')" 'c  d' e\\ f
                entrypoint: ["/bin/tini", "--", ""]
                environment:
                  PORT: 8080
                  DEBUG: true
                  PRICE: "5$$"
                  EMPTY: ""
                labels: {team: web, poise.move: never, poise.isolated: freeze, poise.restart: fresh, flag: }
                volumes:
                  - data:/var/lib/data
                  - /etc/localtime:/etc/localtime:ro
                  - {type: tmpfs, target: /tmp}
                  - type: volume
                    source: data
                    target: /more
                    read_only: true
                    volume: {}
                tmpfs: /run
                ports:
                  - 8080:80
                  - "5353:53/udp"
                  - 9000-9001:90-91
                  - {target: 443, published: "8443", protocol: tcp, mode: ingress}
                deploy:
                  resources: {limits: {cpus: "0.25", memory: 1.5g}}
                hostname: counter.local
                user: "1000:1000"
                working_dir: /srv
                x-note: ignored
              burner: {image: burner, cpus: .5, mem_limit: 64MB, restart: no, environment: [A=1, B=x=y, C=], labels: [a, b=c]}
            volumes:
              data:
            """)
        #expect(
            apps == [
                AppSpecification(
                    name: "counter", image: "registry.example:5000/team/counter:1.2",
                    entrypoint: ["/bin/tini", "--", ""],
                    command: ["python", "-c", "print('a b')", "c  d", "e f"],
                    environment: ["PORT": "8080", "DEBUG": "true", "PRICE": "5$", "EMPTY": ""],
                    labels: ["team": "web", "flag": ""],
                    volumes: [
                        VolumeMount(kind: .volume, source: "data", target: "/var/lib/data"),
                        VolumeMount(kind: .bind, source: "/etc/localtime", target: "/etc/localtime", readOnly: true),
                        VolumeMount(kind: .tmpfs, source: "", target: "/tmp"),
                        VolumeMount(kind: .volume, source: "data", target: "/more", readOnly: true),
                        VolumeMount(kind: .tmpfs, source: "", target: "/run"),
                    ],
                    ports: [
                        PortMapping(published: 8080, target: 80),
                        PortMapping(published: 5353, target: 53, transport: "udp"),
                        PortMapping(published: 9000, target: 90), PortMapping(published: 9001, target: 91),
                        PortMapping(published: 8443, target: 443),
                    ], restart: .unlessStopped, cpuMillicores: 250, memoryBytes: 1_610_612_736,
                    hostname: "counter.local",
                    user: "1000:1000", workingDirectory: "/srv", move: .never, isolated: .freeze, recovery: .fresh),
                AppSpecification(
                    name: "burner", image: "burner", environment: ["A": "1", "B": "x=y", "C": ""],
                    labels: ["a": "", "b": "c"], restart: .never, cpuMillicores: 500, memoryBytes: 64 << 20),
            ])
        for app in apps { #expect(try AppSpecification(encoded: app.encoded) == app) }
    }

    @Test(arguments: [
        (
            "build: .",
            "unsupported key `build` in service `web` (site.yaml:4): build the image and name it with `image:`"
        ),
        (
            "container_name: x",
            "unsupported key `container_name` in service `web` (site.yaml:4): remove it; a container is named after its app, which is the service's key"
        ),
        ("enviroment: {}", "unsupported key `enviroment` in service `web` (site.yaml:4): did you mean `environment`?"),
        (
            "frobnicate: 1",
            "unsupported key `frobnicate` in service `web` (site.yaml:4): remove it; what is kept here: command, cpus, deploy, devices, entrypoint, environment, hostname, image, labels, mem_limit, ports, restart, tmpfs, user, volumes, working_dir"
        ),
        (
            "environment: [HOME]",
            "environment variable `HOME` has no value in service `web` (site.yaml:4): no device's environment is consulted: write `HOME=VALUE`, or `HOME=` for an empty one"
        ),
        (
            "environment:\n  A: 1\n  TOKEN:",
            "environment variable `TOKEN` has no value in service `web` (site.yaml:6): no device's environment is consulted: write `TOKEN=VALUE`, or `TOKEN=` for an empty one"
        ),
        (
            "command: echo $HOME",
            "command asks for a variable (`$`) in service `web` (site.yaml:4): no device's environment is consulted: write the value itself, or `$$` for a dollar sign"
        ),
        (
            "command: sleep 1; echo",
            "command needs a shell for `;` in service `web` (site.yaml:4): write [\"sh\", \"-c\", \"…\"] if the image has a shell, or quote it"
        ),
        (
            "command: \"echo 'a\"",
            "command ends inside quotes or after a backslash in service `web` (site.yaml:4): close the quotes, or write a list"
        ),
        (
            "labels: {poise.move: sometimes}",
            "label `poise.move` is `sometimes` in service `web` (site.yaml:4): allowed are `live` and `never`"
        ),
        (
            "labels: {poise.isolated: pause}",
            "label `poise.isolated` is `pause` in service `web` (site.yaml:4): allowed are `run` and `freeze`"
        ),
        (
            "labels: [poise.restart=always]",
            "label `poise.restart` is `always` in service `web` (site.yaml:4): allowed are `wait` and `fresh`"
        ),
        (
            "labels: [poise.pen=pi1]",
            "unknown label `poise.pen` in service `web` (site.yaml:4): labels that begin with `poise.` are Poise's own; there are `poise.move` (live or never), `poise.pin` (a device's name), `poise.isolated` (run or freeze) and `poise.restart` (wait or fresh)"
        ),
        (
            "labels: [poise.pin=Attic 1]",
            "label `poise.pin` is `Attic 1` in service `web` (site.yaml:4): write a device's name; `planner nodes` lists those there are"
        ),
        (
            "deploy:\n  placement:\n    constraints:\n      - node.labels.a==1\n      - node.labels.floor=2",
            "constraint `node.labels.floor=2` has no operator in service `web` (site.yaml:8): write node.labels.KEY==VALUE or node.labels.KEY!=VALUE"
        ),
        (
            "deploy: {placement: {constraints: [node.role==manager]}}",
            "constraint `node.role==manager` asks for `node.role` in service `web` (site.yaml:4): allowed are node.hostname, node.platform.arch and node.labels.KEY"
        ),
        (
            "deploy: {placement: {constraints: [node.labels.Floor==1]}}",
            "constraint `node.labels.Floor==1` names no label in service `web` (site.yaml:4): a label's key has 1 to 63 of a-z, 0-9, hyphen, underscore and dot, and begins with a letter or digit"
        ),
        (
            "deploy: {placement: {constraints: [node.hostname==]}}",
            "constraint `node.hostname==` has no value that a node could have in service `web` (site.yaml:4): write it after the operator, as in node.hostname==attic"
        ),
        (
            "deploy: {placement: {constraints: node.hostname==a}}",
            "deploy.placement.constraints is a single value in service `web` (site.yaml:4): write a list"
        ),
        (
            "deploy: {placement: {preferences: []}}",
            "unsupported key `deploy.placement.preferences` in service `web` (site.yaml:4): remove it; the site spreads apps by what they use"
        ),
        (
            "deploy: {devices: []}",
            "unsupported key `deploy.devices` in service `web` (site.yaml:4): write it as the service's own `devices:`"
        ),
        (
            "devices:\n- /dev/fuse\n- fuse",
            "device `fuse` is no path under /dev/ in service `web` (site.yaml:6): write /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rw"
        ),
        (
            "devices: [/dev/../etc/passwd]",
            "device `/dev/../etc/passwd` is no path under /dev/ in service `web` (site.yaml:4): write /dev/x, /dev/x:/dev/y or /dev/x:/dev/y:rw"
        ),
        (
            "devices: [/dev/a:b]",
            "device `/dev/a:b` has no path in the container in service `web` (site.yaml:4): write an absolute path without `..`, as /dev/y"
        ),
        (
            "devices: [/dev/a:/dev/b:rr]",
            "device `/dev/a:/dev/b:rr` has the permissions `rr` in service `web` (site.yaml:4): write r, w and m (mknod), each once at most"
        ),
        (
            "devices: [/dev/a:/dev/c, /dev/b:/dev/c]",
            "two devices at `/dev/c` in service `web` (site.yaml:4): keep one of them"
        ),
        ("labels: [a=1, a=2]", "`a` stands twice in labels in service `web` (site.yaml:4): keep one of them"),
        ("user: a\nuser: b", "`user` stands here again, first in line 4 (site.yaml:5): keep one of them"),
        (
            "ports: [127.0.0.1:8080:80]",
            "port `127.0.0.1:8080:80` names an address of the device in service `web` (site.yaml:4): it has to hold on every device, so a port is published on all addresses: `8080:80`"
        ),
        (
            "ports: [80]",
            "port `80` names no port of the device in service `web` (site.yaml:4): an app may run on any device, so choose one: `8080:80`"
        ),
        (
            "ports: [8080:80/sctp]",
            "port `8080:80/sctp` has an unknown protocol in service `web` (site.yaml:4): allowed are /tcp and /udp"
        ),
        (
            "ports: [8000-8002:80-81]",
            "port `8000-8002:80-81` pairs 3 ports with 2 in service `web` (site.yaml:4): give both ranges the same length"
        ),
        (
            "ports: [0:80]",
            "`0:80` is no port in service `web` (site.yaml:4): write DEVICE_PORT:CONTAINER_PORT, as 8080:80 or 5353:53/udp; ports go from 1 to 65535"
        ),
        (
            "ports:\n- 80:80\n- 80:81",
            "port 80/tcp is published twice in service `web` (site.yaml:6): choose another port of the device"
        ),
        (
            "ports: [{target: 80, published: 80, host_ip: 10.0.0.1}]",
            "a port names an address of the device (`host_ip`) in service `web` (site.yaml:4): it has to hold on every device, so a port is published on all addresses; remove it"
        ),
        ("ports: [{target: 80}]", "a port lacks `target` or `published` in service `web` (site.yaml:4): write both"),
        (
            "volumes: [./src:/src]",
            "bind mount of `./src` is no absolute path in service `web` (site.yaml:4): devices have no folder in common with this file: name a path that every device has, or use a named volume"
        ),
        (
            "volumes: [/var/lib/x]",
            "volume `/var/lib/x` has no name in service `web` (site.yaml:4): a volume without a name can't follow its app: write `some-name:/var/lib/x`"
        ),
        (
            "volumes: [db:/db]",
            "volume `db` is not declared in service `web` (site.yaml:4): add `db:` under the top-level `volumes:`"
        ),
        (
            "volumes: [data:/a:z]",
            "volume `data:/a:z` has the option `z` in service `web` (site.yaml:4): allowed are ro and rw"
        ),
        ("volumes: [data:/a, data:/a]", "two mounts at `/a` in service `web` (site.yaml:4): keep one of them"),
        (
            "volumes: [data:a/../b]",
            "mount target `a/../b` is no path in the container in service `web` (site.yaml:4): write an absolute path without `..`, as /data"
        ),
        (
            "volumes: [{type: npipe, source: a, target: /b}]",
            "volume type `npipe` is unknown in service `web` (site.yaml:4): allowed are volume, bind and tmpfs"
        ),
        (
            "deploy: {replicas: 2}",
            "unsupported key `deploy.replicas` in service `web` (site.yaml:4): submit one service for each copy, each with a name of its own"
        ),
        (
            "cpus: 0.0001",
            "`0.0001` is no number of cores in service `web` (site.yaml:4): write a decimal number with at most three digits after the point, as 0.5"
        ),
        ("cpus: 0", "`0` cores are out of range in service `web` (site.yaml:4): allowed are 0.001 to 1024"),
        (
            "mem_limit: lots",
            "`lots` is no size in service `web` (site.yaml:4): write bytes, or a number with k, m or g, as 512m"
        ),
        ("mem_limit: 4m", "size `4m` is out of range in service `web` (site.yaml:4): allowed are 6m to 1024t"),
        (
            "cpus: 1\ndeploy: {resources: {limits: {cpus: 2}}}",
            "the processor limit differs from that in line 4 in service `web` (site.yaml:5): keep one of them"
        ),
        (
            "restart: sometimes",
            "restart policy `sometimes` is unknown in service `web` (site.yaml:4): allowed are `no`, `on-failure`, `always`, `unless-stopped`"
        ),
        (
            "restart: on-failure:3",
            "restart `on-failure:3` counts attempts in service `web` (site.yaml:4): write `on-failure`"
        ),
        (
            "hostname: a_b",
            "`a_b` is no hostname in service `web` (site.yaml:4): use letters, digits and hyphens, 1 to 63 between dots"
        ),
        (
            "working_dir: srv",
            "working directory `srv` is no absolute path in service `web` (site.yaml:4): write a path from `/`"
        ),
        ("command: {a: b}", "command is a map in service `web` (site.yaml:4): write a list"),
        ("environment: 5", "environment is a single value in service `web` (site.yaml:4): write a map of `key: value`"),
        (
            "command: [\"a\\0b\"]",
            "an entry of command contains a NUL character in service `web` (site.yaml:4): no container can be given it; remove it"
        ),
    ])
    func aFaultIsNamedWithItsPlaceAndRemedy(_ settings: String, _ expected: String) {
        #expect(refusal(web(settings)) == [expected])
    }

    @Test(arguments: [
        ("", "the file is empty (site.yaml): describe apps under `services:`"),
        ("name: a", "there is no `services:` (site.yaml): describe apps under `services:`"),
        ("services:", "`services:` names no app (site.yaml:1): describe at least one"),
        ("[a]", "the file is a list (site.yaml:1): write a map of `key: value`"),
        ("services: {a: }", "no image in service `a` (site.yaml:1): name one with `image:`"),
        (
            "services: {a: {image: \"\"}}",
            "`` is no image's name in service `a` (site.yaml:1): write NAME, NAME:TAG or NAME@DIGEST"
        ),
        (
            "services: {Web: {image: a}}",
            "name `Web` is not allowed in service `Web` (site.yaml:1): an app's name has 1 to 63 of a-z, 0-9, `-`, `_` and `.`, and begins with a letter or digit"
        ),
        (
            "services: {a: {image: b}}\nnetworks: {}",
            "unsupported key `networks` (site.yaml:2): remove it; an app has its device's bridge network, and is reached by published `ports:`"
        ),
        (
            "services: {a: {image: b}}\nvolumes: {v: {driver: nfs}}",
            "unsupported key `driver` of volume `v` (site.yaml:2): remove it; a volume is a directory of the device's engine that its app's moves carry along"
        ),
        (
            "services:\n  a: {image: b}\n  a: {image: c}",
            "`a` stands here again, first in line 2 (site.yaml:3): keep one of them"
        ),
        (
            "services: [",
            "while parsing a flow node: did not find expected node content (site.yaml:2): mend this first; the rest of the file was not looked at"
        ),
    ])
    func aFileThatDescribesNoAppsIsRefused(_ text: String, _ expected: String) {
        #expect(refusal(text) == [expected])
    }

    @Test func allFaultsOfAFileAreReportedInTheOrderOfTheirLines() {
        let problems = refusal(
            """
            services:
              a:
                build: .
                restart: x
              b:
                image: fine
                ports: [1]
            networks:
            """)
        let lines = problems.map { $0.components(between: "site.yaml:", and: ")") }
        #expect(lines == ["2", "3", "4", "7", "8"])
    }

    @Test func whereAnAppMayRun() throws {
        let app = try read(
            web(
                """
                labels: {poise.pin: attic, team: web}
                deploy:
                  placement:
                    constraints:
                      - node.labels.floor != 2
                      - "node.platform.arch==aarch64"
                      - node.labels.camera==
                      - node.hostname == attic
                devices:
                  - /dev/i2c-1
                  - /dev/video0:/dev/video1
                  - "/dev/serial/by-id/usb-1:/dev/ttyUSB0:rw"
                """))[0]
        #expect(app.labels == ["team": "web"])
        #expect(
            app.constraints.map(\.text) == [
                "node.hostname==attic", "node.labels.floor!=2", "node.platform.arch==aarch64", "node.labels.camera==",
            ])
        #expect(
            app.devices == [
                DeviceMapping(source: "/dev/i2c-1"), DeviceMapping(source: "/dev/video0", target: "/dev/video1"),
                DeviceMapping(source: "/dev/serial/by-id/usb-1", target: "/dev/ttyUSB0", permissions: "rw"),
            ])
        #expect(try AppSpecification(encoded: app.encoded) == app)
        func list(_ key: String, _ entries: [String]) -> String {
            "\(key): [\(entries.joined(separator: ", "))]"
        }
        let conditions = (0...PlacementConstraint.limit).map { "node.labels.a\($0)==1" }
        #expect(
            refusal(web("deploy: {placement: {\(list("constraints", conditions))}}")).first?
                .hasPrefix("33 constraints in service `web` (site.yaml:4): an app has at most 32") == true)
        let devices = (0...DeviceMapping.limit).map { "/dev/d\($0)" }
        #expect(
            refusal(web(list("devices", devices))).first?
                .hasPrefix("33 devices in service `web` (site.yaml:4): an app has at most 32") == true)
    }

    @Test func aFileMayHaveOneHundredApps() throws {
        func file(_ count: Int) -> String {
            "services:\n" + (0..<count).map { "  a\($0): {image: b}\n" }.joined()
        }
        #expect(try read(file(100)).count == 100)
        #expect(refusal(file(101)) == ["`services:` has 101 apps (site.yaml:1): submit at most 100 at a time"])
    }

    @Test func sizesAreBounded() {
        let long = String(repeating: "x", count: 4_097)
        #expect(
            refusal(web("hostname: \(long)")) == [
                "hostname has 4097 bytes in service `web` (site.yaml:4): at most 4096 are kept"
            ])
        let many = (0..<100).map { "A\($0): \(String(repeating: "y", count: 1_000))" }.joined(separator: "\n  ")
        #expect(refusal(web("environment:\n  \(many)")).first?.contains("put long values into files") == true)
        #expect(
            refusal(web("command: [" + String(repeating: "a,", count: 257) + "]")).first?.contains("at most 256")
                == true)
        #expect(refusal(web("command: " + String(repeating: "a ", count: 257))).first?.contains("at most 256") == true)
        let huge = String(repeating: "#", count: 1 << 20) + "\n"
        #expect(refusal(huge).first?.contains("at most 1048576 are read") == true)
        #expect(
            refusal(web((0..<200).map { "k\($0): 1" }.joined(separator: "\n"))).last
                == "and 150 more problems in site.yaml")
    }
}

extension String {
    fileprivate func components(between start: String, and end: String) -> String {
        guard let from = firstRange(of: start), let to = self[from.upperBound...].firstRange(of: end) else { return "" }
        return String(self[from.upperBound..<to.lowerBound])
    }
}

extension StringProtocol {
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var place = startIndex
        while place < endIndex {
            if self[place...].hasPrefix(text) { return place..<index(place, offsetBy: text.count) }
            place = index(after: place)
        }
        return nil
    }
}
