import ArgumentParser
@main struct AdaShare: ParsableCommand {}
